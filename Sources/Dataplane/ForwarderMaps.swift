// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The forwarder's maps that outlive a program, by name and type. Those with mapped memory change by stores; no system
/// call can fail there.
struct ForwarderMaps: Sendable {
  let services4: BPFMap<service_key4, UInt32>
  let services6: BPFMap<service_key6, UInt32>
  let serviceRecords: BPFMap<UInt32, service>
  let services: MappedArray<service>
  let poolRecords: BPFMap<UInt32, pool>
  let pools: MappedArray<pool>
  let slots: BPFMap<UInt32, UInt64>
  let slotWords: MappedArray<UInt64>
  let hotSlotWords: BPFMap<UInt32, UInt64>
  let hotSlots: HotSlots
  let bucketRecords4: BPFMap<UInt32, service_bucket4>
  let bucketRecords6: BPFMap<UInt32, service_bucket6>
  let buckets4: MappedArray<service_bucket4>
  let buckets6: MappedArray<service_bucket6>
  let outerSourceRecords: BPFMap<UInt32, outer_source>
  let outerSources: MappedArray<outer_source>
  let backendRecords: BPFMap<UInt32, backend>
  let backends: MappedArray<backend>
  let flows: BPFMap<flow_key, flow>
  let lastUnknown: BPFMap<UInt32, UInt64>
  let pairCounters: PerCPUMap<UInt32, counter>
  let pairOffsets: BPFMap<UInt32, counter>
  /// How many pair counters there are.
  let pairEntries: UInt32
  let verdicts: PerCPUMap<UInt32, counter>
  let flowEvents: PerCPUMap<UInt32, UInt64>
  let serviceNames: BPFMap<UInt32, identity>
  let poolNames: BPFMap<UInt32, identity>
  let backendNames: BPFMap<UInt32, identity>
  let layout: BPFMap<UInt32, layout>

  init(_ source: borrowing some MapSource & ~Copyable) throws(BPFError) {
    services4 = try source.openMap("services4")
    services6 = try source.openMap("services6")
    serviceRecords = try source.openMap("services")
    services = try serviceRecords.memoryMapped()
    poolRecords = try source.openMap("pools")
    pools = try poolRecords.memoryMapped()
    slots = try source.openMap("slots")
    slotWords = try slots.memoryMapped()
    hotSlotWords = try source.openMap("hot_slots")
    hotSlots = HotSlots(try hotSlotWords.memoryMapped())
    bucketRecords4 = try source.openMap("buckets4")
    bucketRecords6 = try source.openMap("buckets6")
    buckets4 = try bucketRecords4.memoryMapped()
    buckets6 = try bucketRecords6.memoryMapped()
    outerSourceRecords = try source.openMap("outer_sources")
    outerSources = try outerSourceRecords.memoryMapped()
    backendRecords = try source.openMap("backends")
    backends = try backendRecords.memoryMapped()
    flows = try source.openMap("flows")
    lastUnknown = try source.openMap("last_unknown")
    pairCounters = try source.openPerCPUMap("pair_counters")
    pairOffsets = try source.openMap("pair_offsets")
    pairEntries = min(try pairCounters.info.maxEntries, try pairOffsets.info.maxEntries)
    verdicts = try source.openPerCPUMap("verdicts")
    flowEvents = try source.openPerCPUMap("flow_events")
    serviceNames = try source.openMap("service_names")
    poolNames = try source.openMap("pool_names")
    backendNames = try source.openMap("backend_names")
    layout = try source.openMap("layout")
  }

  /// Names of maps that only the program reads and writes. Their contents are valid for one tick.
  static let ofProgramOnly: Set = ["answer_budgets", "insert_budgets"]

  /// Their names and how many entries each has; `layout` last, so that it is pinned only when all others are.
  static func pinned(_ limits: NodeSettings.Limits) -> [(name: String, entries: Int)] {
    // Numbers of services and backends begin at 1: 0 is "none".
    let (services, backends) = (limits.services + 1, limits.backends + 1)
    let ids = ServiceIDs.count(services: limits.services)
    return [
      ("services4", 2 * limits.services), ("services6", 2 * limits.services), ("services", ids),
      ("buckets4", Int(SERVICE_BUCKETS)), ("buckets6", Int(SERVICE_BUCKETS)),
      ("pools", limits.pools), ("slots", limits.slots), ("hot_slots", (limits.slots + 1) / 2),
      ("backends", backends), ("outer_sources", 2 * backends),
      ("flows", limits.flows),
      ("pair_counters", limits.pairs), ("pair_offsets", limits.pairs),
      ("verdicts", Int(verdict.VERDICT_COUNT.rawValue)),
      ("flow_events", Int(flow_event.FLOW_EVENT_COUNT.rawValue)),
      ("answer_budgets", Int(answer.ANSWER_COUNT.rawValue) * (1 + Int(ANSWER_BUCKETS))),
      ("insert_budgets", ids * Int(insert.INSERT_COUNT.rawValue)),
      ("last_unknown", backends),
      ("service_names", services), ("pool_names", limits.pools), ("backend_names", backends),
      ("layout", 1),
    ]
  }
}

extension ForwarderMaps {
  /// The name of a map that another one's pin leads to; nil where each leads to its own.
  ///
  /// The kernel keeps the first 15 octets of the name that a map was made with, whatever its pin is called.
  func misplaced() throws(BPFError) -> String? {
    let all: [(any KernelMap, String)] = [
      (services4, "services4"), (services6, "services6"), (serviceRecords, "services"),
      (poolRecords, "pools"),
      (slots, "slots"), (hotSlotWords, "hot_slots"), (bucketRecords4, "buckets4"),
      (bucketRecords6, "buckets6"), (backendRecords, "backends"), (outerSourceRecords, "outer_sources"),
      (flows, "flows"), (lastUnknown, "last_unknown"),
      (pairCounters, "pair_counters"), (pairOffsets, "pair_offsets"), (verdicts, "verdicts"),
      (flowEvents, "flow_events"), (serviceNames, "service_names"), (poolNames, "pool_names"),
      (backendNames, "backend_names"), (layout, "layout"),
    ]
    for (map, name) in all where try map.info.name != String(name.prefix(15)) { return name }
    return nil
  }
}

/// Where maps are found by their names.
protocol MapSource: ~Copyable {
  func openMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> BPFMap<Key, Value>
  func openPerCPUMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> PerCPUMap<Key, Value>
}

extension LoadedObject: MapSource {
  func openMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> BPFMap<Key, Value> { try map(name) }

  func openPerCPUMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> PerCPUMap<Key, Value> { try perCPUMap(name) }
}

extension MapSet: MapSource {
  func openMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> BPFMap<Key, Value> { try .openPinned(path: pin(of: name)) }

  func openPerCPUMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String
  ) throws(BPFError) -> PerCPUMap<Key, Value> { try .openPinned(path: pin(of: name)) }
}
