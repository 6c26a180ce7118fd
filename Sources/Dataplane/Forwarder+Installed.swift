// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

extension Forwarder {
  /// What the maps hold: what a restarted daemon plans from.
  public func readInstalled() throws(DataplaneError) -> InstalledState {
    var state = InstalledState()
    for backend in try readBackends() { state.backends[backend.number] = backend }
    let pools = try readPools()
    for pool in pools { state.pools[pool.name] = pool }
    let poolNames = Dictionary(uniqueKeysWithValues: pools.map { ($0.number, $0.name) })
    for service in try readServices(poolNames) { state.services[service.service.key] = service }
    return state
  }

  private func names(_ map: BPFMap<UInt32, identity>) throws(DataplaneError) -> [(
    index: UInt32, name: String
  )] {
    let all = try inKernel { () throws(BPFError) in try map.lookup(0..<map.info.maxEntries) }
    return all.enumerated().compactMap { index, identity in
      identity.name.0 == 0 ? nil : (UInt32(index), identity.text)
    }
  }

  private func readBackends() throws(DataplaneError) -> [InstalledState.Backend] {
    try names(maps.backendNames).compactMap { number, name in
      let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { return nil }
      let record = maps.backends[Int(number)]
      var encapsulation = Encapsulation()
      if record.family == 4 {
        encapsulation.source4 = record.sourcePrefix
      } else {
        encapsulation.source6 = record.sourcePrefix
      }
      return InstalledState.Backend(
        number: number, pool: parts[0], name: parts[1], address: record.address, encapsulation: encapsulation,
        isUsable: record.isUsable, pair: Int(record.pair), isLeaving: record.isLeaving,
        isDraining: record.isDraining)
    }
  }

  private func readPools() throws(DataplaneError) -> [InstalledState.Pool] {
    var pools: [InstalledState.Pool] = []
    for (number, name) in try names(maps.poolNames) {
      let record = maps.pools[Int(number)]
      let table = maps.pools.loadWord(element: Int(number))
      let first = Int(UInt32(truncatingIfNeeded: table))
      let count = Int(table >> 32)
      guard count > 0 else { continue }
      guard first + count <= maps.slotWords.count else { throw .readBack("the record of pool \(name)") }
      pools.append(
        InstalledState.Pool(
          number: Int(number), name: name,
          hash: record.hash == .HASH_SOURCE ? .source : .flow, firstSlot: first,
          slots: slots(in: first..<(first + count)), settle: clock.seconds(ticks: record.settle)))
    }
    return pools
  }

  /// From the mapping: a system call for each of many million slots would take seconds.
  private func slots(in region: Range<Int>) -> [Slot] {
    maps.slotWords.withElements(region) { words in
      var slots: [Slot] = []
      slots.reserveCapacity(words.count)
      for index in words.indices { slots.append(Slot(word: words[index])) }
      return slots
    }
  }

  private func move(of record: service, _ pools: [Int: String]) -> InstalledState.Service.Move? {
    guard record.affinity == .AFFINITY_MOVED || record.affinity == .AFFINITY_MOVED_ALL,
      let pool = pools[Int(UInt32(truncatingIfNeeded: record.before))]
    else { return nil }
    let first = Int(record.before >> 32)
    return InstalledState.Service.Move(
      pool: pool, pairs: first..<(first + Int(record.pair_count_before)), at: Tick(record.moved))
  }

  private func readServices(_ pools: [Int: String]) throws(DataplaneError) -> [InstalledState.Service] {
    let names = Dictionary(
      uniqueKeysWithValues: try self.names(maps.serviceNames).map { ($0.index, $0.name) })
    let (keys4, keys6) = try inKernel { () throws(BPFError) in
      (try maps.services4.entries(), try maps.services6.entries())
    }
    let keys =
      keys4.map { ($0.key.vip, UInt16(bigEndian: $0.key.port), $0.key.protocol, $0.value) }
      + keys6.map { ($0.key.vip, UInt16(bigEndian: $0.key.port), $0.key.protocol, $0.value) }
    return keys.compactMap { address, port, protocolNumber, number in
      let record = maps.services[Int(number)]
      guard let transport = TransportProtocol(rawValue: protocolNumber),
        let pool = pools[Int(UInt32(truncatingIfNeeded: record.binding))]
      else { return nil }
      let affinity = Affinity(
        mode: Affinity.Mode(record.affinity), learn: clock.seconds(ticks: record.learn),
        tcpIdle: clock.seconds(ticks: record.tcp_idle), udpIdle: clock.seconds(ticks: record.udp_idle),
        onGone: record.flags & UInt32(SERVICE_RESETS) != 0 ? .reset : .rehash)
      return InstalledState.Service(
        number: Int(number),
        service: VirtualService(
          key: VirtualService.Key(address: address, transport: transport, port: port),
          name: names[number] ?? "",
          pool: pool, affinity: affinity),
        firstPair: Int(record.binding >> 32), pairCount: Int(record.pair_count),
        move: move(of: record, pools))
    }
  }
}
