// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// Metrics of packets, flows and pools.
extension Metrics {
  struct DataplaneFacts: Sendable {
    /// nil: the program is not attached.
    var attachment: (interface: String, mode: AttachMode, isFullSpeed: Bool)?
    var verdicts: [VerdictCount] = []
    var flowEvents = FlowEvents()
    var flowsUsed = 0
    var flowsCapacity = 0
  }

  func addDataplane(to out: inout Exposition) {
    out.family(
      "sluice_xdp_attached_info", .gauge, "The attachment, as labels.",
      dataplane.attachment.map {
        [
          (
            [
              ("interface", $0.interface), ("mode", $0.mode.rawValue), ("full_speed", "\($0.isFullSpeed)"),
            ], 1
          )
        ]
      } ?? [])
    let verdicts = dataplane.verdicts.map { verdict in
      (labels: [("class", verdict.verdictClass.rawValue), ("verdict", verdict.name)], count: verdict.count)
    }
    out.counters(
      "sluice_packets_total", "Received packets by what became of them.",
      verdicts.map { ($0.labels, $0.count.packets) })
    out.counters(
      "sluice_bytes_total", "Octets of received frames by what became of them.",
      verdicts.map { ($0.labels, $0.count.bytes) })
    out.family(
      "sluice_flow_table_entries", .gauge, "Flows remembered.", [([], Double(dataplane.flowsUsed))])
    out.family(
      "sluice_flow_table_capacity_entries", .gauge, "Flows that can be remembered.",
      [([], Double(dataplane.flowsCapacity))])
    let events = dataplane.flowEvents
    out.counters(
      "sluice_flow_events_total", "What became of flows on slots that remember, in packets.",
      [
        ("found", events.found), ("started", events.started), ("learned", events.learned),
        ("to_previous", events.toPrevious), ("not_written", events.notWritten),
        ("over_budget", events.overBudget),
      ].map { ([("event", $0.0)], $0.1) })
  }

  func addPools(to out: inout Exposition) {
    let counts = Dictionary(grouping: backends.map(\.facts), by: \.backend.pool).mapValues { backends in
      Dictionary(grouping: backends, by: \.effectiveState).mapValues(\.count)
    }
    let pools = pools.map { (labels: [("pool", $0.pool.name)], facts: $0) }
    out.family(
      "sluice_pool_backends", .gauge,
      "Backends by state: leaving, maint or drain where an operator wants it, else what the checks find.",
      pools.flatMap { labels, facts in
        BackendFacts.effectiveStates.map { state in
          (labels + [("state", state)], Double(counts[facts.pool.name]?[state] ?? 0))
        }
      })
    out.family(
      "sluice_pool_ready_backends", .gauge, "Backends that take new flows.",
      pools.map { ($0.labels, Double($0.facts.ready)) })
    out.family(
      "sluice_pool_required_backends", .gauge, "Backends that should take new flows, at least.",
      pools.map { ($0.labels, Double($0.facts.required)) })
    out.family(
      "sluice_pool_changed_slots", .gauge, "Slots whose flows are remembered one by one.",
      pools.map { ($0.labels, Double($0.facts.changedSlots)) })
    out.counters(
      "sluice_pool_moved_slots_total", "Slots that plans gave to another backend.",
      pools.map { ($0.labels, movedSlots[$0.facts.pool.name] ?? 0) })
  }
}
