// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The forwarder's maps by name and type. Those with mapped memory change by stores; no system call can fail there.
struct ForwarderMaps {
  let services4: BPFMap<service_key4, UInt32>
  let services6: BPFMap<service_key6, UInt32>
  let services: MappedArray<service>
  let pools: MappedArray<pool>
  let slots: BPFMap<UInt32, UInt64>
  let slotWords: MappedArray<UInt64>
  let backends: MappedArray<backend>
  let flows: BPFMap<flow_key, flow>
  let lastUnknown: BPFMap<UInt32, UInt64>
  let pairCounters: PerCPUMap<UInt32, counter>
  let pairOffsets: BPFMap<UInt32, counter>
  let verdicts: PerCPUMap<UInt32, counter>
  let flowEvents: PerCPUMap<UInt32, UInt64>
  let serviceNames: BPFMap<UInt32, identity>
  let poolNames: BPFMap<UInt32, identity>
  let backendNames: BPFMap<UInt32, identity>
  let layout: BPFMap<UInt32, layout>
  let interface: MappedArray<interface_state>

  init(_ object: borrowing LoadedObject) throws(BPFError) {
    services4 = try object.map("services4")
    services6 = try object.map("services6")
    services = try object.map("services", key: UInt32.self).memoryMapped()
    pools = try object.map("pools", key: UInt32.self).memoryMapped()
    slots = try object.map("slots")
    slotWords = try slots.memoryMapped()
    backends = try object.map("backends", key: UInt32.self).memoryMapped()
    flows = try object.map("flows")
    lastUnknown = try object.map("last_unknown")
    pairCounters = try object.perCPUMap("pair_counters")
    pairOffsets = try object.map("pair_offsets")
    verdicts = try object.perCPUMap("verdicts")
    flowEvents = try object.perCPUMap("flow_events")
    serviceNames = try object.map("service_names")
    poolNames = try object.map("pool_names")
    backendNames = try object.map("backend_names")
    layout = try object.map("layout")
    interface = try object.map(".data.interface", key: UInt32.self).memoryMapped()
  }

  /// What outlives the daemon, and in how many entries; `layout` last, so that it is there only when all others are.
  static func pinned(_ limits: NodeSettings.Limits) -> [(name: String, entries: Int)] {
    [
      ("services4", 2 * limits.services), ("services6", 2 * limits.services), ("services", limits.services),
      ("pools", limits.pools), ("slots", limits.slots), ("backends", limits.backends),
      ("flows", limits.flows),
      ("pair_counters", limits.pairs), ("pair_offsets", limits.pairs),
      ("verdicts", Int(verdict.VERDICT_COUNT.rawValue)),
      ("flow_events", Int(flow_event.FLOW_EVENT_COUNT.rawValue)),
      ("answer_budgets", Int(answer.ANSWER_COUNT.rawValue)),
      ("insert_budgets", limits.services * Int(insert.INSERT_COUNT.rawValue)),
      ("last_unknown", limits.backends),
      ("service_names", limits.services), ("pool_names", limits.pools), ("backend_names", limits.backends),
      ("layout", 1),
    ]
  }
}
