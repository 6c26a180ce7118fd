// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// One pass: compares maps with the installed state and repairs them.
struct MapRepair {
  let forwarder: Forwarder
  let maps: ForwarderMaps
  let installed: InstalledState
  private let nextHops: [IPAddress: NextHopState]
  private let pools: [Int: InstalledState.Pool]
  let services: [Int: InstalledState.Service]
  /// The id of each installed service, by its number: the one that its key has, or should have.
  var ids: [Int: Int] = [:]
  /// All keys in the hash maps, also unknown ones.
  var keys: [ServiceEntry: UInt32] = [:]
  var done: [String] = []

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
    if !parts.isDisjoint(with: [.pools, .services, .unknownEntries]) { try readKeys() }
    if parts.contains(.backends) { try compareBackends(records.clamped(to: 0..<maps.backends.count), parts) }
    if parts.contains(.pools) {
      try comparePools(records.clamped(to: 0..<maps.pools.count), parts)
      compareSlots(slots)
      try compareCopies()
    }
    if parts.contains(.services) { try compareServices(records.clamped(to: 0..<maps.services.count), parts) }
    if parts.contains(.services) || parts.contains(.unknownEntries) { try compareKeys(parts) }
    if parts.contains(.unknownEntries) { try compareLayout() }
  }

  // MARK: Names

  /// Gives each number the name that it should have. With `.unknownEntries`, unused numbers lose their names.
  mutating func compareNames(
    _ map: BPFMap<UInt32, identity>, _ range: Range<Int>, _ what: String, _ parts: MapPatrol.Parts,
    _ name: (Int) -> String?
  ) throws(DataplaneError) {
    guard !range.isEmpty else { return }
    let found = try inKernel { () throws(BPFError) in
      try map.lookup(UInt32(range.lowerBound)..<UInt32(range.upperBound))
    }
    for (number, identity) in zip(range, found) {
      let wanted = name(number)
      guard wanted != nil || parts.contains(.unknownEntries) else { continue }
      let right = CForwardingABI.identity(wanted ?? "")
      guard octets(of: identity) != octets(of: right) else { continue }
      try inKernel { () throws(BPFError) in try map.update(UInt32(number), to: right) }
      // A released number keeps the rest of its name after the first octet.
      if wanted != nil || identity.name.0 != 0 { done.append("the name of \(what) \(wanted ?? "\(number)")") }
    }
  }

  // MARK: Backends

  private mutating func compareBackends(
    _ range: Range<Int>, _ parts: MapPatrol.Parts
  ) throws(DataplaneError) {
    for number in range {
      guard let backend = installed.backends[BackendNumber(number)] else { continue }
      if try compare(backend) { done.append("the record of backend \(backend.pool)/\(backend.name)") }
    }
    try compareNames(maps.backendNames, range, "backend", parts) { [installed] number in
      installed.backends[BackendNumber(number)].map { "\($0.pool)/\($0.name)" }
    }
  }

  /// - Returns: whether the record was damaged.
  private func compare(_ backend: InstalledState.Backend) throws(DataplaneError) -> Bool {
    let index = Int(backend.number)
    let found = maps.backends[index]
    let generation = forwarder.generations[backend.number] ?? found.generation
    forwarder.generations[backend.number] = generation
    let nextHop = nextHops[backend.address].flatMap { $0.mac == nil ? nil : $0 }
    var wanted = CForwardingABI.backend(
      backend, generation: generation, pool: installed.pools[backend.pool]?.number ?? Int(found.pool))
    wanted.path = try path(of: backend, wanted, found, nextHop)
    if let nextHop {
      wanted.next_hop = wanted.nextHop(nextHop, path: wanted.path)
    } else {
      wanted.next_hop |=
        wanted.hasSource(wanted.path) ? found.next_hop & CForwardingABI.backend.networkBits : 0
    }
    guard octets(of: wanted) != octets(of: found) else { return false }
    // The path and the next hop come last: nothing is sent before the other words are right.
    for offset in stride(
      from: MemoryLayout<CForwardingABI.backend>.size - 8, to: Forwarder.pathOffset, by: -8)
    where word(of: wanted, at: offset) != word(of: found, at: offset) {
      maps.backends.storeWord(word(of: wanted, at: offset), element: index, byteOffset: offset)
    }
    forwarder.store(wanted.path, wanted.next_hop, over: found, at: index)
    return true
  }

  /// The path that a backend's record should have: its configured source, else the interface's, else the one found.
  private func path(
    of backend: InstalledState.Backend, _ wanted: CForwardingABI.backend, _ found: CForwardingABI.backend,
    _ nextHop: NextHopState?
  ) throws(DataplaneError) -> UInt64 {
    let isSameFamily = found.family == wanted.family
    var record = wanted
    record.path = isSameFamily ? found.path : 0
    let source =
      backend.encapsulation.source(backend.address.family)?.address ?? nextHop?.sourceAddress
      ?? (isSameFamily ? OuterSources.source(of: record, in: maps) : nil)
    let mtu = nextHop?.mtu ?? Int(path_mtu(found.path))
    return try inKernel { () throws(BPFError) in
      try forwarder.outerSources.path(
        of: record, source: source, mtu: mtu, gracePeriod: forwarder.gracePeriod)
    }
  }

  // MARK: Pools

  private mutating func comparePools(_ range: Range<Int>, _ parts: MapPatrol.Parts) throws(DataplaneError) {
    for number in range {
      guard let pool = pools[number] else {
        if parts.contains(.unknownEntries), maps.pools[number].table != 0 {
          maps.pools.storeWord(0, element: number, byteOffset: Forwarder.tableOffset)
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
      let indices = damaged.map { part.lowerBound - pool.firstSlot + $0 }
      forwarder.rewrite(indices.map { ($0, pool.slots[$0]) }, of: pool)
      if !damaged.isEmpty { done.append("\(damaged.count) slots of pool \(pool.name)") }
      // Hot slots that do not fit slots without damage.
      var stale = 0
      for index in part {
        let slot = pool.slots[index - pool.firstSlot]
        guard maps.hotSlots[index] != maps.hotSlot(of: slot) else { continue }
        maps.storeSlot(slot, at: index)
        stale += 1
      }
      if stale > 0 { done.append("\(stale) hot slots of pool \(pool.name)") }
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
