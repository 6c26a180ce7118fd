// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// What metrics tell of packets, flows and tables.
extension Scrape {
  func addDataplane(to out: inout Exposition) {
    let interface = status.interface
    out.family(
      "sluice_xdp_attached_info", .gauge, "The attachment, as labels.",
      interface.mode.map { mode in
        [
          (
            [("interface", interface.name), ("mode", mode), ("full_speed", "\(interface.fullSpeed)")], 1
          )
        ]
      } ?? [])
    out.counters(
      "sluice_packets_total", "Received packets by what became of them.",
      status.verdicts.map { ([("class", $0.class), ("verdict", $0.verdict)], $0.packets) })
    out.counters(
      "sluice_bytes_total", "Octets of received frames by what became of them.",
      status.verdicts.map { ([("class", $0.class), ("verdict", $0.verdict)], $0.bytes) })
    out.family(
      "sluice_flow_table_entries", .gauge, "Flows remembered.", [([], Double(status.flowsUsed))])
    out.family(
      "sluice_flow_table_capacity_entries", .gauge, "Flows that can be remembered.",
      [([], Double(status.flowsCapacity))])
    out.counters(
      "sluice_flow_events_total", "What became of flows on slots that remember, in packets.",
      [
        ("found", flowEvents.found), ("started", flowEvents.started), ("learned", flowEvents.learned),
        ("to_previous", flowEvents.toPrevious), ("not_written", flowEvents.notWritten),
        ("over_budget", flowEvents.overBudget),
      ].map { ([("event", $0.0)], $0.1) })
  }

  func addPools(to out: inout Exposition) {
    let pools = status.pools
    let counts = Dictionary(grouping: backends.map(\.row), by: \.pool).mapValues { rows in
      Dictionary(grouping: rows, by: \.effectiveState).mapValues(\.count)
    }
    out.family(
      "sluice_pool_backends", .gauge,
      "Backends by state: leaving, maint or drain where an operator wants it, else what the checks find.",
      pools.flatMap { pool in
        BackendRow.effectiveStates.map { state in
          ([("pool", pool.name), ("state", state)], Double(counts[pool.name]?[state] ?? 0))
        }
      })
    out.family(
      "sluice_pool_ready_backends", .gauge, "Backends that take new flows.",
      pools.map { ([("pool", $0.name)], Double($0.ready)) })
    out.family(
      "sluice_pool_required_backends", .gauge, "Backends that should take new flows, at least.",
      pools.map { ([("pool", $0.name)], Double($0.required)) })
    out.family(
      "sluice_pool_changed_slots", .gauge, "Slots whose flows are remembered one by one.",
      pools.map { ([("pool", $0.name)], Double($0.changedSlots)) })
    out.counters(
      "sluice_pool_moved_slots_total", "Slots that plans gave to another backend.",
      pools.map { ([("pool", $0.name)], tally.movedSlots[$0.name] ?? 0) })
  }
}

extension BackendRow {
  fileprivate static let effectiveStates =
    HealthState.allCases.map(\.rawValue)
    + AdministrativeState.allCases.filter { $0 != .ready }.map(\.rawValue) + ["leaving"]

  /// What an operator wants of it, and where that is to serve, its health.
  fileprivate var effectiveState: String { state == "ready" ? health : state }
}
