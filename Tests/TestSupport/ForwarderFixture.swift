// SPDX-License-Identifier: Apache-2.0
public import BPF
public import CForwardingABI
import Dataplane
internal import LoadBalancing

/// The forwarder, loaded and filled with a scenario, attached to nothing. Time stands still at tick 0: ages are made
/// by writing times of the past. One test at a time may use it.
public final class ForwarderFixture: @unchecked Sendable {
  public let scenario: Scenario
  public let program: BPFProgram
  public let flows: BPFMap<flow_key, flow>
  public let backendRecords: BPFMap<UInt32, backend>
  public let backends: MappedArray<backend>
  public let services: MappedArray<service>
  public let pools: MappedArray<pool>
  public let slots: MappedArray<UInt64>
  private let hotSlots: MappedArray<UInt64>
  public let outerSources: MappedArray<outer_source>
  public let outerSourceRecords: BPFMap<UInt32, outer_source>
  private let buckets4: MappedArray<service_bucket4>
  private let buckets6: MappedArray<service_bucket6>
  public let uplink: MappedArray<uplink>
  public let vipPolicy: MappedArray<vip_policy>
  private let vipFilter: MappedArray<UInt64>
  public let lastUnknown: BPFMap<UInt32, UInt64>
  private let verdicts: PerCPUMap<UInt32, counter>
  private let pairCounters: PerCPUMap<UInt32, counter>
  private let flowEvents: PerCPUMap<UInt32, UInt64>
  private let answerBudgets: PerCPUMap<UInt32, budget>
  private let insertBudgets: PerCPUMap<UInt32, budget>
  private var firstSlots: [UInt32: UInt32] = [:]

  /// The maps' sizes; every larger number is out of range.
  public static let pairCount: UInt32 = 512
  public static let backendCount: UInt32 = 1024
  public static let slotCount: UInt32 = 4096

  /// - Parameter generalOnly: without the fast path.
  public init(_ scenario: Scenario, generalOnly: Bool = false) throws {
    self.scenario = scenario
    var object = try BPFObject.open(Self.code())
    for (map, count) in [
      ("services", 128), ("pools", 64), ("slots", Self.slotCount),
      ("hot_slots", (Self.slotCount + 1) / 2), ("outer_sources", Self.backendCount),
      ("backends", Self.backendCount),
      ("flows", scenario.flowEntries), ("last_unknown", Self.backendCount), ("pair_counters", Self.pairCount),
      ("pair_offsets", Self.pairCount),
    ] {
      try object.setMaxEntries(map: map, UInt32(count))
    }
    var constants = forwarder_constants()
    constants.tick_shift = 63
    constants.answers_per_tick = scenario.answersPerTick
    constants.answers_per_network = scenario.answersPerNetwork
    constants.new_per_tick = scenario.newPerTick
    constants.learned_per_tick = scenario.learnedPerTick
    constants.general_only = generalOnly ? 1 : 0
    withUnsafeMutableBytes(of: &constants.hash_keys) { bytes in
      scenario.hashKeys.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
    try object.freeze(section: ".rodata.constants", as: constants)
    let loaded = try object.load()

    program = try loaded.program("forwarder")
    flows = try loaded.map("flows")
    backendRecords = try loaded.map("backends")
    backends = try backendRecords.memoryMapped()
    services = try loaded.map("services", key: UInt32.self).memoryMapped()
    pools = try loaded.map("pools", key: UInt32.self).memoryMapped()
    slots = try loaded.map("slots", key: UInt32.self).memoryMapped()
    hotSlots = try loaded.map("hot_slots", key: UInt32.self).memoryMapped()
    outerSourceRecords = try loaded.map("outer_sources")
    outerSources = try outerSourceRecords.memoryMapped()
    buckets4 = try loaded.map("buckets4", key: UInt32.self).memoryMapped()
    buckets6 = try loaded.map("buckets6", key: UInt32.self).memoryMapped()
    uplink = try loaded.map(".data.uplink", key: UInt32.self).memoryMapped()
    vipPolicy = try loaded.map(".data.vip_policy", key: UInt32.self).memoryMapped()
    vipFilter = try loaded.map("vip_filter", key: UInt32.self).memoryMapped()
    verdicts = try loaded.perCPUMap("verdicts")
    pairCounters = try loaded.perCPUMap("pair_counters")
    flowEvents = try loaded.perCPUMap("flow_events")
    answerBudgets = try loaded.perCPUMap("answer_budgets")
    insertBudgets = try loaded.perCPUMap("insert_budgets")
    lastUnknown = try loaded.map("last_unknown")
    try fill(loaded.map("services4"), loaded.map("services6"))
  }

  /// The forwarder under test.
  public static func code() throws -> EmbeddedObject { try tested(ForwarderObject.embedded) }

  private func fill(_ services4: BPFMap<service_key4, UInt32>, _ services6: BPFMap<service_key6, UInt32>)
    throws
  {
    uplink[0] = CForwardingABI.uplink(mac: scenario.interface)
    vipPolicy[0].unserved = UInt64(scenario.unserved.rawValue)
    for backend in scenario.backends {
      backends[Int(backend.number)] = backend.abi
      guard backend.source.family == .v6 else { continue }
      var source = outer_source()
      withUnsafeMutableBytes(of: &source) { $0.copyBytes(from: backend.source.octets) }
      outerSources[Int(backend.number)] = source
    }
    var nextSlot: UInt32 = 0
    for pool in scenario.pools {
      firstSlots[pool.number] = nextSlot
      setSlots(of: pool.number, to: pool.slots)
      let table = pool.table ?? UInt64(pool.slots.count) << 32 | UInt64(nextSlot)
      pools[Int(pool.number)] = CForwardingABI.pool(
        table: table | UInt64(pool.hash.rawValue) << 63, settle: pool.settle)
      nextSlot += UInt32(pool.slots.count)
    }
    for service in scenario.services {
      let first = service.vip.octets.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      let bit = Int(vip_filter_bit(first))
      vipFilter[bit / 64] |= 1 << UInt64(bit % 64)
      if Int(service.number) < services.count { setService(service.number, to: service.abi) }
      try enter(service.vip, service.port, service.transport, service.number, services4, services6)
      try enter(
        service.vip, 0, service.vip.family == .v4 ? .icmp : .icmpv6, UInt32(SERVICE_NONE), services4,
        services6)
    }
  }

  private func enter(
    _ vip: IPAddress, _ port: UInt16, _ transport: IPProtocol, _ number: UInt32,
    _ services4: BPFMap<service_key4, UInt32>, _ services6: BPFMap<service_key6, UInt32>
  ) throws {
    if vip.family == .v4 {
      let address = UInt32(truncatingIfNeeded: vip.bits).bigEndian
      let key = service_key4(
        address: address, port: port.bigEndian, protocol: transport.number, zero: 0)
      try services4.update(key, to: number)
      if port != 0 { enterBucket(key, number) }
    } else {
      var key = service_key6()
      withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: vip.octets) }
      key.port = port.bigEndian
      key.protocol = transport.number
      try services6.update(key, to: number)
      if port != 0 { enterBucket(key, vip.octets, number) }
    }
  }

  private func enterBucket(_ key: service_key4, _ number: UInt32) {
    guard number <= UInt32(SERVICE_ENTRY4_ID_MAX) else { return }
    let word = service_entry4(UInt64(key.address), UInt64(key.port), UInt64(key.protocol))
    let index = Int(service_bucket4_index(word))
    var bucket = buckets4[index]
    withUnsafeMutableBytes(of: &bucket) { bytes in
      let entries = bytes.assumingMemoryBound(to: UInt64.self)
      guard let free = entries.firstIndex(of: 0) else { return }
      entries[free] = word | UInt64(number) << UInt64(SERVICE_ENTRY4_ID_SHIFT)
    }
    buckets4[index] = bucket
  }

  private func enterBucket(_ key: service_key6, _ address: [UInt8], _ number: UInt32) {
    let words = address.withUnsafeBytes {
      ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
    let rest = service_entry6(UInt64(key.port), UInt64(key.protocol))
    let index = Int(service_bucket6_index(words.0, words.1, rest))
    var bucket = buckets6[index]
    if bucket.rest.0 == 0 {
      (bucket.high.0, bucket.low.0, bucket.rest.0) = (words.0, words.1, rest | UInt64(number) << 32)
    } else if bucket.rest.1 == 0 {
      (bucket.high.1, bucket.low.1, bucket.rest.1) = (words.0, words.1, rest | UInt64(number) << 32)
    }
    buckets6[index] = bucket
  }

  /// Writes a service's record, with the table of its pool.
  public func setService(_ number: UInt32, to record: service) {
    var record = record
    let pool = Int(UInt32(truncatingIfNeeded: record.binding))
    record.table = pool < pools.count ? pools[pool].table : 0
    services[Int(number)] = record
  }

  /// Writes a pool's slots in place, and their hot slots.
  public func setSlots(of pool: UInt32, to words: [UInt64]) {
    for (offset, word) in words.enumerated() {
      let index = Int(firstSlots[pool]!) + offset
      let current = Int(slot_current(word))
      slots[index] = word
      setHotSlot(
        offset, of: pool, to: hot_slot(word, current < backends.count ? UInt32(backends[current].pair) : 0))
    }
  }

  /// Writes one hot slot of a pool, and nothing else.
  public func setHotSlot(_ offset: Int, of pool: UInt32, to hot: UInt32) {
    let index = Int(firstSlots[pool]!) + offset
    let shift = UInt64(index % 2 * 32)
    hotSlots[index / 2] = hotSlots[index / 2] & ~(0xffff_ffff << shift) | UInt64(hot) << shift
  }

  // MARK: - Running

  /// What became of one frame.
  public struct Run: Sendable {
    public var action: UInt32
    public var output: [UInt8]
    public var counts: Counts
  }

  /// Runs the forwarder on one frame.
  public func run(_ frame: [UInt8]) throws -> Run {
    let before = try counts()
    let result = try program.testRun(input: frame)
    return Run(action: result.returnValue, output: result.output, counts: try counts() - before)
  }

  /// The counters' sums over all CPUs.
  public func counts() throws -> Counts {
    func sum(_ map: PerCPUMap<UInt32, counter>) throws -> [Counts.Count] {
      let values = try map.lookupAll()
      return (0..<values.count).map { index in
        values[index].reduce(into: Counts.Count()) {
          $0.packets += $1.packets
          $0.bytes += $1.bytes
        }
      }
    }
    let events = try flowEvents.lookupAll()
    return Counts(
      verdicts: try sum(verdicts), pairs: try sum(pairCounters),
      events: (0..<events.count).map { events[$0].reduce(0, +) })
  }

  /// Says how many answers every CPU has given, of each kind, to all and to each network, and in which tick.
  public func spendAnswerBudgets(tick: UInt32, used: UInt32) throws {
    let budgets = [budget](repeating: budget(tick: tick, used: used), count: try possibleCPUCount())
    for budget in 0..<answer.ANSWER_COUNT.rawValue * (1 + UInt32(ANSWER_BUCKETS)) {
      try answerBudgets.update(budget, to: budgets)
    }
  }

  /// Lets every CPU add entries again, as in a new tick: for itself, and for these services.
  public func renewInsertBudgets(of services: [UInt32]) throws {
    let budgets = [budget](repeating: budget(tick: .max, used: 0), count: try possibleCPUCount())
    for owner in [UInt32(SERVICE_NONE)] + services {
      for kind in 0..<insert.INSERT_COUNT.rawValue {
        try insertBudgets.update(owner * insert.INSERT_COUNT.rawValue + kind, to: budgets)
      }
    }
  }

  /// Empties the flow table.
  public func forgetFlows() throws {
    for (key, _) in try flows.entries() { try flows.delete(key) }
  }
}
