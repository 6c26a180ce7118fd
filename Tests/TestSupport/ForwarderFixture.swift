// SPDX-License-Identifier: Apache-2.0
public import BPF
public import CForwardingABI
import Dataplane
internal import Foundation
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
  public let poolRecords: BPFMap<UInt32, pool>
  public let pools: MappedArray<pool>
  public let slots: MappedArray<UInt64>
  public let interface: MappedArray<interface_state>
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

  public init(_ scenario: Scenario) throws {
    self.scenario = scenario
    var object = try BPFObject.open(Self.code())
    for (map, count) in [
      ("services", 128), ("pools", 64), ("slots", Self.slotCount), ("backends", Self.backendCount),
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
    poolRecords = try loaded.map("pools")
    pools = try poolRecords.memoryMapped()
    slots = try loaded.map("slots", key: UInt32.self).memoryMapped()
    interface = try loaded.map(".data.interface", key: UInt32.self).memoryMapped()
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

  /// The forwarder that travels in the binary, or that of a file: scripts/planted-defects runs tests on broken ones.
  public static func code() throws -> EmbeddedObject {
    let path = getenv("SLUICE_TEST_FORWARDER_OBJECT").map { String(cString: $0) }
    guard let path else { return ForwarderObject.embedded }
    return EmbeddedObject(
      name: "forwarder", base64: try Data(contentsOf: URL(filePath: path)).base64EncodedString())
  }

  private func fill(_ services4: BPFMap<service_key4, UInt32>, _ services6: BPFMap<service_key6, UInt32>)
    throws
  {
    interface[0] = interface_state(mac: scenario.interface)
    vipPolicy[0].unserved = UInt64(scenario.unserved.rawValue)
    for backend in scenario.backends { backends[Int(backend.number)] = backend.abi }
    var nextSlot: UInt32 = 0
    for pool in scenario.pools {
      firstSlots[pool.number] = nextSlot
      setSlots(of: pool.number, to: pool.slots)
      let table = pool.table ?? UInt64(pool.slots.count) << 32 | UInt64(nextSlot)
      pools[Int(pool.number)] = CForwardingABI.pool(table: table, hash: pool.hash, settle: pool.settle)
      nextSlot += UInt32(pool.slots.count)
    }
    for service in scenario.services {
      let first = service.vip.octets.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      let bit = Int(vip_filter_bit(first))
      vipFilter[bit / 64] |= 1 << UInt64(bit % 64)
      if Int(service.number) < services.count { services[Int(service.number)] = service.abi }
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
      try services4.update(
        service_key4(address: address, port: port.bigEndian, protocol: transport.number, zero: 0), to: number)
    } else {
      var key = service_key6()
      withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: vip.octets) }
      key.port = port.bigEndian
      key.protocol = transport.number
      try services6.update(key, to: number)
    }
  }

  /// Writes a pool's slots in place.
  public func setSlots(of pool: UInt32, to words: [UInt64]) {
    for (index, word) in words.enumerated() { slots[Int(firstSlots[pool]!) + index] = word }
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

/// Counters, or their rise between two moments.
public struct Counts: Sendable {
  public struct Count: Hashable, Sendable {
    public var packets: UInt64 = 0
    public var bytes: UInt64 = 0

    public init(packets: UInt64 = 0, bytes: UInt64 = 0) {
      self.packets = packets
      self.bytes = bytes
    }
  }

  /// By verdict.
  public var verdicts: [Count]
  /// By pair of service and backend.
  public var pairs: [Count]
  /// By flow event.
  public var events: [UInt64]

  public subscript(verdict: verdict) -> Count { verdicts[Int(verdict.rawValue)] }
  public subscript(event: flow_event) -> UInt64 { events[Int(event.rawValue)] }

  /// The verdicts that rose, and by how much.
  public var risen: [verdict: Count] {
    var risen: [verdict: Count] = [:]
    for (index, count) in verdicts.enumerated() where count != Count() {
      risen[CForwardingABI.verdict(rawValue: UInt32(index))!] = count
    }
    return risen
  }

  public static func - (left: Counts, right: Counts) -> Counts {
    func minus(_ left: [Count], _ right: [Count]) -> [Count] {
      zip(left, right).map { Count(packets: $0.packets - $1.packets, bytes: $0.bytes - $1.bytes) }
    }
    return Counts(
      verdicts: minus(left.verdicts, right.verdicts), pairs: minus(left.pairs, right.pairs),
      events: zip(left.events, right.events).map { $0 - $1 })
  }
}
