// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// One comparison.
struct MapRepair {
  private let forwarder: Forwarder
  private let maps: ForwarderMaps
  private let installed: InstalledState
  private let nextHops: [IPAddress: NextHopState]
  private let pools: [Int: InstalledState.Pool]
  private let services: [Int: InstalledState.Service]
  private(set) var done: [String] = []

  init(_ forwarder: Forwarder, _ installed: InstalledState, _ nextHops: [IPAddress: NextHopState]) {
    self.forwarder = forwarder
    maps = forwarder.maps
    self.installed = installed
    self.nextHops = nextHops
    pools = Dictionary(uniqueKeysWithValues: installed.pools.values.map { ($0.number, $0) })
    services = Dictionary(uniqueKeysWithValues: installed.services.values.map { ($0.number, $0) })
  }

  mutating func compare(
    _ records: Range<Int>, slots: Range<Int>, _ parts: MapPatrol.Parts
  ) throws(DataplaneError) {
    if parts.contains(.backends) { try compareBackends(records.clamped(to: 0..<maps.backends.count), parts) }
    if parts.contains(.pools) {
      try comparePools(records.clamped(to: 0..<maps.pools.count), parts)
      compareSlots(slots)
    }
    if parts.contains(.services) { try compareServices(records.clamped(to: 0..<maps.services.count), parts) }
    if parts.contains(.services) || parts.contains(.strangers) { try compareKeys(parts) }
    if parts.contains(.strangers) { try compareLayout() }
  }

  // MARK: Names

  /// Gives each number the name that it should have; unused numbers lose theirs where strangers are looked for.
  private mutating func compareNames(
    _ map: BPFMap<UInt32, identity>, _ range: Range<Int>, _ what: String, _ parts: MapPatrol.Parts,
    _ name: (Int) -> String?
  ) throws(DataplaneError) {
    guard !range.isEmpty else { return }
    let found = try inKernel { () throws(BPFError) in
      try map.lookup(UInt32(range.lowerBound)..<UInt32(range.upperBound))
    }
    for (number, identity) in zip(range, found) {
      let wanted = name(number)
      guard wanted != nil || parts.contains(.strangers) else { continue }
      let right = CForwardingABI.identity(wanted ?? "")
      guard octets(of: identity) != octets(of: right) else { continue }
      try inKernel { () throws(BPFError) in try map.update(UInt32(number), to: right) }
      // What was released leaves the rest of its name behind.
      if wanted != nil || identity.name.0 != 0 { done.append("the name of \(what) \(wanted ?? "\(number)")") }
    }
  }

  // MARK: Backends

  private mutating func compareBackends(
    _ range: Range<Int>, _ parts: MapPatrol.Parts
  ) throws(DataplaneError) {
    for number in range {
      guard let backend = installed.backends[BackendNumber(number)] else { continue }
      if compare(backend) { done.append("the record of backend \(backend.pool)/\(backend.name)") }
    }
    try compareNames(maps.backendNames, range, "backend", parts) { [installed] number in
      installed.backends[BackendNumber(number)].map { "\($0.pool)/\($0.name)" }
    }
  }

  /// - Returns: whether the record was another one.
  private func compare(_ backend: InstalledState.Backend) -> Bool {
    let index = Int(backend.number)
    let found = maps.backends[index]
    let generation = forwarder.generations[backend.number] ?? found.generation
    forwarder.generations[backend.number] = generation
    let nextHop = nextHops[backend.address].flatMap { $0.mac == nil ? nil : $0 }
    let source = found.family == backend.address.family.rawValue ? found.outerSource : nil
    var wanted = CForwardingABI.backend(
      backend, generation: generation,
      pool: installed.pools[backend.pool]?.number ?? Int(found.pool),
      interfaceAddress: nextHop?.sourceAddress ?? source)
    wanted.mtu = nextHop.map { UInt16(clamping: $0.mtu) } ?? found.mtu
    wanted.next_hop = nextHop.map { Forwarder.nextHopWord($0.mac, wanted) } ?? found.next_hop
    guard octets(of: wanted) != octets(of: found) else { return false }
    // The next hop is the first word and comes last: nothing is sent before its addresses are there.
    for offset in stride(from: MemoryLayout<CForwardingABI.backend>.size - 8, through: 0, by: -8)
    where word(of: wanted, at: offset) != word(of: found, at: offset) {
      maps.backends.storeWord(word(of: wanted, at: offset), element: index, byteOffset: offset)
    }
    return true
  }

  // MARK: Pools

  private mutating func comparePools(_ range: Range<Int>, _ parts: MapPatrol.Parts) throws(DataplaneError) {
    for number in range {
      guard let pool = pools[number] else {
        // A table of no pool.
        if parts.contains(.strangers), maps.pools.loadWord(element: number) != 0 {
          maps.pools.storeWord(0, element: number)
          done.append("the record of pool \(number), which is none")
        }
        continue
      }
      let (wanted, found) = (forwarder.record(pool), maps.pools[number])
      guard octets(of: wanted) != octets(of: found) else { continue }
      for offset in [0, 8] where word(of: wanted, at: offset) != word(of: found, at: offset) {
        maps.pools.storeWord(word(of: wanted, at: offset), element: number, byteOffset: offset)
      }
      done.append("the record of pool \(pool.name)")
    }
    try compareNames(maps.poolNames, range, "pool", parts) { [pools] in pools[$0]?.name }
  }

  private mutating func compareSlots(_ range: Range<Int>) {
    for pool in installed.pools.values where pool.region.overlaps(range) {
      let part = pool.region.clamped(to: range)
      let damaged = maps.slotWords.withElements(part) { words in
        words.indices.filter { words[$0] != pool.slots[part.lowerBound - pool.firstSlot + $0].word }
      }
      guard !damaged.isEmpty else { continue }
      forwarder.rewrite(
        damaged.map {
          let index = part.lowerBound - pool.firstSlot + $0
          return (index, pool.slots[index])
        }, of: pool)
      done.append("\(damaged.count) slots of pool \(pool.name)")
    }
  }

  // MARK: Services

  private mutating func compareServices(
    _ range: Range<Int>, _ parts: MapPatrol.Parts
  ) throws(DataplaneError) {
    for number in range {
      guard let service = services[number], let wanted = record(service) else { continue }
      let found = maps.services[number]
      guard octets(of: wanted) != octets(of: found) else { continue }
      for (offset, word) in wanted.stores(over: found) {
        maps.services.storeWord(word, element: number, byteOffset: offset)
      }
      done.append("the record of service \(service.service.name) \(service.service.key)")
    }
    try compareNames(maps.serviceNames, range, "service", parts) { [services] in services[$0]?.service.name }
  }

  private func record(_ service: InstalledState.Service) -> CForwardingABI.service? {
    guard let pool = installed.pools[service.service.pool] else { return nil }
    return forwarder.record(
      service, pool: pool.number, poolBefore: service.move.flatMap { installed.pools[$0.pool]?.number })
  }

  private mutating func compareKeys(_ parts: MapPatrol.Parts) throws(DataplaneError) {
    var found: [ServiceEntry: UInt32] = [:]
    try inKernel { () throws(BPFError) in
      try maps.services4.forEachEntry { found[ServiceEntry($0)] = $1 }
      try maps.services6.forEachEntry { found[ServiceEntry($0)] = $1 }
    }
    var wanted: [ServiceEntry: UInt32] = [:]
    for service in installed.services.values {
      wanted[ServiceEntry(service.service.key)] = UInt32(service.number)
      wanted[ServiceEntry(markOf: service.service.key.address)] = UInt32(SERVICE_NONE)
    }
    if parts.contains(.services) {
      for (entry, number) in wanted where found[entry] != number {
        try inKernel { () throws(BPFError) in try maps.set(entry, to: number) }
        done.append("the entry of \(entry)")
      }
    }
    guard parts.contains(.strangers) else { return }
    for entry in found.keys where wanted[entry] == nil {
      try inKernel { () throws(BPFError) in try maps.remove(entry) }
      done.append("the entry of \(entry), which is no service")
    }
  }

  // MARK: Layout

  private mutating func compareLayout() throws(DataplaneError) {
    guard forwarder.mapSet != nil, forwarder.attachment != nil else { return }
    let id = try inKernel { () throws(BPFError) in UInt64(try forwarder.program.info.id) }
    let wanted = layout(
      seedDigest: forwarder.keys.digest, programs: (id, 0), tables: forwarder.tables
    ).checked
    let found = try inKernel { () throws(BPFError) in try maps.layout.lookup(0) }
    guard found.map({ octets(of: $0) != octets(of: wanted) }) ?? true else { return }
    try inKernel { () throws(BPFError) in try maps.layout.update(0, to: wanted) }
    done.append("the layout")
  }
}
