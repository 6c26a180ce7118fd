// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// A walk through the flow table: judges each entry as the packet path does.
struct FlowWalk {
  private(set) var census = FlowCensus()
  /// Entries that no packet needs: expired, of a stable slot, or of a backend that is released. The latter stay where a
  /// packet of the flow is answered by a RST.
  private(set) var dead: [flow_key] = []
  /// Entries of unknown flows that nothing has confirmed, silent for a while: the first to go when room is short.
  private(set) var once: [flow_key] = []
  /// Entries of clients.
  private var clients: [flow_key] = []
  /// Clients with a flow that lives, is more than a SYN and does not close.
  private var present: Set<PresentClient> = []

  private let installed: InstalledState
  private let maps: ForwarderMaps
  private let clock: PacketClock
  private let keys: HashKeys
  private let now: Tick
  private let services: [VirtualService.Key: InstalledState.Service]

  /// Ticks that an entry is past its time before it is put away, so that no packet is about to find it alive.
  private static let margin: UInt32 = 2
  private static let onceIdle: UInt32 = 30

  init(_ installed: InstalledState, maps: ForwarderMaps, clock: PacketClock, keys: HashKeys, now: Tick) {
    self.installed = installed
    self.maps = maps
    self.clock = clock
    self.keys = keys
    self.now = now
    services = installed.services
  }

  mutating func meet(_ key: flow_key, _ flow: flow) {
    census.entries += 1
    if key.isOfClient {
      clients.append(key)
      return
    }
    let service = service(of: key)
    let idle = idle(flow)
    guard idle <= limit(key, flow, service), isNeeded(key, flow, service) else {
      if mayGo(key, flow) { dead.append(key) }
      return
    }
    guard isOfPresentBackend(flow) else {
      if let service { keepSlot(of: key, service, owner: nil) }
      return
    }
    if flow.flags & UInt32(FLOW_ONCE) != 0 {
      census.unconfirmed[flow.backend, default: 0] += 1
      if idle > Self.onceIdle { once.append(key) }
    } else if flow.flags & UInt32(FLOW_CLOSING) == 0 || idle <= UInt32(FLOW_OVER_IDLE) {
      census.live[flow.backend, default: 0] += 1
      if installed.backends[flow.backend]?.isDraining ?? false {
        census.idle[flow.backend, default: []].append(Int((Double(idle) * clock.tickLength).rounded()))
      }
    }
    if let service { look(at: key, flow, of: service) }
  }

  /// To be called after the last entry: clients without a flow are dead.
  mutating func meetClients() {
    dead += clients.filter { !present.contains(PresentClient($0)) }
  }

  /// Whether an entry may be put away, as it is now.
  func mayGo(_ key: flow_key, _ flow: flow) -> Bool {
    let idle = idle(flow)
    if key.isOfClient { return idle > Self.margin || !isOfPresentBackend(flow) }
    if flow.flags & UInt32(FLOW_ONCE) != 0, idle > Self.onceIdle { return true }
    let service = service(of: key)
    return !isNeeded(key, flow, service) || idle > limit(key, flow, service) + Self.margin
  }

  /// Whether a packet of the flow would be treated as the entry says, if it has not expired.
  private func isNeeded(_ key: flow_key, _ flow: flow, _ service: InstalledState.Service?) -> Bool {
    !isForgotten(slotOf: key, service) && (isOfPresentBackend(flow) || isReset(key, service))
  }

  /// Whether the packet path answers by a RST where the flow's backend is gone.
  private func isReset(_ key: flow_key, _ service: InstalledState.Service?) -> Bool {
    key.protocol == TransportProtocol.tcp.rawValue && service?.service.affinity.onGone == .reset
  }

  /// Whether the packet path does not look for the flow: its slot is stable. An entry that stayed would count as a flow
  /// for as long as flows may be silent, and would be believed when the slot changes again.
  private func isForgotten(slotOf key: flow_key, _ service: InstalledState.Service?) -> Bool {
    guard let service, service.move == nil, service.service.affinity.mode == .changes,
      let pool = installed.pools[service.service.pool]
    else { return false }
    return pool.slots[slot(of: key, in: pool)].state == .stable
  }

  private func slot(of key: flow_key, in pool: InstalledState.Pool) -> Int {
    Int(hash_slot(keys.hash(key, pool.hash), UInt32(pool.slots.count)))
  }

  private func isOfPresentBackend(_ flow: flow) -> Bool {
    installed.backends[flow.backend] != nil
      && maps.backends[Int(flow.backend)].generation == flow.generation
  }

  /// Ticks since the flow's last packet.
  private func idle(_ flow: flow) -> UInt32 { now.sincePacket(Tick(flow.last_seen)) }

  private func limit(_ key: flow_key, _ flow: flow, _ service: InstalledState.Service?) -> UInt32 {
    let affinity = service?.service.affinity
    return flow_idle_limit(
      flow.flags, key.protocol == TransportProtocol.udp.rawValue ? 1 : 0,
      affinity.map { clock.ticks(seconds: $0.udpIdle) } ?? 0,
      affinity.map { clock.ticks(seconds: $0.tcpIdle) } ?? 0)
  }

  private func service(of key: flow_key) -> InstalledState.Service? {
    guard let transport = TransportProtocol(rawValue: key.protocol) else { return nil }
    var wanted = VirtualService.Key(
      address: key.vipAddress, transport: transport, port: UInt16(bigEndian: key.service_port))
    if let service = services[wanted] { return service }
    wanted.port = 0
    return services[wanted]
  }

  /// Whether the flow keeps its slot, or its service's move, from being forgotten.
  private mutating func look(at key: flow_key, _ flow: flow, of service: InstalledState.Service) {
    let owner = installed.backends[flow.backend]
    if let owner, service.move != nil, owner.pool != service.service.pool {
      census.remembering.insert(service.service.key)
    }
    if service.service.affinity.mode != .none, let pool = installed.pools[service.service.pool],
      pool.hash == .source, flow.flags & UInt32(FLOW_CLOSING | FLOW_SYN_ONLY) == 0
    {
      present.insert(PresentClient(key, pool: pool.number))
    }
    keepSlot(of: key, service, owner: flow.backend)
  }

  /// Keeps the flow's slot from becoming stable where its current backend is not the flow's.
  /// - Parameter owner: nil: the flow's backend is released.
  private mutating func keepSlot(
    of key: flow_key, _ service: InstalledState.Service, owner: BackendNumber?
  ) {
    // Also where every flow is tracked: the service may be told to track changed slots only.
    guard service.service.affinity.mode != .none, let pool = installed.pools[service.service.pool] else {
      return
    }
    let slot = slot(of: key, in: pool)
    if pool.slots[slot].state != .stable, pool.slots[slot].current != owner {
      census.foreign[pool.name, default: []].insert(slot)
    }
  }
}

extension Tick {
  /// Ticks since a packet; none where the packet came after this tick, when the walk had begun.
  func sincePacket(_ packet: Tick) -> UInt32 {
    let ticks = since(packet)
    return ticks > Tick.modulus / 2 ? 0 : ticks
  }
}

/// A client of a pool that remembers clients.
private struct PresentClient: Hashable {
  private let address: SIMD2<UInt64>
  private let pool: UInt32

  /// The client of a flow.
  init(_ key: flow_key, pool: Int) {
    address = unsafe unsafeBitCast(key.client, to: SIMD2<UInt64>.self)
    self.pool = UInt32(truncatingIfNeeded: pool)
  }

  /// The client of a client's entry.
  init(_ key: flow_key) {
    self.init(key, pool: Int(unsafe unsafeBitCast(key.vip, to: SIMD4<UInt32>.self)[3]))
  }
}

extension flow_key {
  /// Whether it is the key of a client, not of a flow.
  fileprivate var isOfClient: Bool { self.protocol == 0 }

  var isIPv4: Bool { octets(of: vip).prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] }

  fileprivate var vipAddress: IPAddress {
    let all = octets(of: vip)
    return isIPv4 ? IPAddress(family: .v4, octets: all.suffix(4)) : IPAddress(family: .v6, octets: all)
  }
}

extension HashKeys {
  /// The flow's hash, as the packet path computes it.
  fileprivate func hash(_ key: flow_key, _ fields: HashFields) -> UInt32 {
    let whole = fields == .flow
    let client = unsafe unsafeBitCast(key.client, to: (UInt64, UInt64).self)
    let vip = unsafe unsafeBitCast(key.vip, to: (UInt64, UInt64).self)
    let ports = whole ? UInt32(key.client_port) | UInt32(key.service_port) << 16 : 0
    let transport = whole ? UInt32(key.protocol) : 0
    return unsafe keys.withUnsafeBufferPointer { keys in
      if key.isIPv4 {
        let (from, to) = (UInt32(client.1 >> 32), UInt32(vip.1 >> 32))
        return unsafe flow_hash4(keys.baseAddress, from, whole ? to : 0, ports, transport)
      }
      return unsafe flow_hash6_words(
        keys.baseAddress, client.0, client.1, whole ? vip.0 : 0, whole ? vip.1 : 0, ports, transport)
    }
  }
}
