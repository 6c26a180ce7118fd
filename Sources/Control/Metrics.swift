// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import Foundation

/// The Prometheus text exposition format, version 0.0.4.
struct Exposition {
  private(set) var text = ""

  enum Kind: String { case counter, gauge, histogram }

  /// One family: its help and type, then a line per sample.
  mutating func family(
    _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: Double)]
  ) {
    head(name, kind, help)
    for (labels, value) in samples { sample(name, labels, value) }
  }

  mutating func head(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
    let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
    text += "\(name)\(list.isEmpty ? "" : "{\(list)}") \(Self.number(value))\n"
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }
}

extension Reconciler {
  /// All metrics, read from the kernel at this moment.
  func metrics() throws -> String {
    let status = try status()
    var out = Exposition()
    out.family("sluice_build_info", .gauge, "The version, as a label.", [([("version", status.version)], 1)])
    addConfiguration(status, to: &out)
    try addDataplane(status, to: &out)
    try addServices(to: &out)
    addChecks(to: &out)
    addEvents(to: &out)
    return out.text
  }

  private func addEvents(to out: inout Exposition) {
    let counts = events.counts
    out.family(
      "sluice_events_total", .counter, "Events since the start.",
      EventLog.types.map { ([("type", $0)], Double(counts[$0] ?? 0)) })
    out.family(
      "sluice_event_subscribers", .gauge, "Clients that follow events.", [([], Double(events.followerCount))])
  }

  private func addConfiguration(_ status: Status, to out: inout Exposition) {
    let configuration = status.configuration
    out.family(
      "sluice_config_generation", .gauge, "Generation of the desired state.",
      [([], Double(configuration.generation))])
    out.family(
      "sluice_config_last_reload_successful", .gauge, "Whether the last reload was applied.",
      [([], configuration.lastReloadOk ? 1 : 0)])
    out.family(
      "sluice_config_restart_required", .gauge, "Whether a changed key waits for a restart.",
      [([], configuration.restartRequired.isEmpty ? 0 : 1)])
    out.family(
      "sluice_overrides_active", .gauge, "Runtime overrides in force.",
      [([], Double(configuration.overrides))])
    out.family(
      "sluice_alarms", .gauge, "Alarms by code.",
      Dictionary(grouping: status.alarms, by: \.code).sorted { $0.key < $1.key }.map {
        ([("code", $0.key)], Double($0.value.count))
      })
  }

  private func addDataplane(_ status: Status, to out: inout Exposition) throws {
    out.family(
      "sluice_xdp_attached_info", .gauge, "The attachment, as labels.",
      status.interface.mode.map {
        [
          (
            [
              ("interface", status.interface.name), ("mode", $0),
              ("full_speed", "\(status.interface.fullSpeed)"),
            ], 1
          )
        ]
      } ?? [])
    out.family(
      "sluice_packets_total", .counter, "Received packets by what became of them.",
      status.verdicts.map { ([("class", $0.class), ("verdict", $0.verdict)], Double($0.packets)) })
    out.family(
      "sluice_bytes_total", .counter, "Octets of received frames by what became of them.",
      status.verdicts.map { ([("class", $0.class), ("verdict", $0.verdict)], Double($0.bytes)) })
    out.family("sluice_flow_table_entries", .gauge, "Flows remembered.", [([], Double(status.flowsUsed))])
    out.family(
      "sluice_flow_table_capacity_entries", .gauge, "Flows that can be remembered.",
      [([], Double(status.flowsCapacity))])
    let events = try forwarder.flowEvents()
    out.family(
      "sluice_flow_events_total", .counter, "What became of flows on slots that remember, in packets.",
      [
        ("found", events.found), ("started", events.started), ("learned", events.learned),
        ("to_previous", events.toPrevious), ("not_written", events.notWritten),
        ("over_budget", events.overBudget),
      ].map { ([("event", $0.0)], Double($0.1)) })
    out.family(
      "sluice_pool_ready_backends", .gauge, "Backends that take new flows.",
      status.pools.map { ([("pool", $0.name)], Double($0.ready)) })
    out.family(
      "sluice_pool_required_backends", .gauge, "Backends that should take new flows, at least.",
      status.pools.map { ([("pool", $0.name)], Double($0.required)) })
    out.family(
      "sluice_pool_changed_slots", .gauge, "Slots whose flows are remembered one by one.",
      status.pools.map { ([("pool", $0.name)], Double($0.changedSlots)) })
  }

  private func addServices(to out: inout Exposition) throws {
    let services = try services()
    let labels = { (row: ServiceRow) in
      [
        ("service", row.name), ("vip", row.vip), ("port", row.port.map(String.init) ?? "any"),
        ("protocol", row.protocol),
      ]
    }
    out.family(
      "sluice_service_packets_total", .counter, "Packets forwarded for a service.",
      services.map { (labels($0), Double($0.packets)) })
    out.family(
      "sluice_service_bytes_total", .counter, "Octets of frames forwarded for a service.",
      services.map { (labels($0), Double($0.bytes)) })
    let backends = try backends()
    let names = { (row: BackendRow) in [("pool", row.pool), ("backend", row.name), ("address", row.address)] }
    out.family(
      "sluice_backend_packets_total", .counter, "Packets forwarded to a backend.",
      backends.map { (names($0), Double($0.packets)) })
    out.family(
      "sluice_backend_bytes_total", .counter, "Octets of frames forwarded to a backend.",
      backends.map { (names($0), Double($0.bytes)) })
    out.family(
      "sluice_backend_flows", .gauge, "Live flows in the flow table; there may be more that need no entry.",
      backends.map { (names($0), Double($0.flows)) })
    out.family(
      "sluice_backend_last_new_flow_seconds", .gauge,
      "Seconds since a flow without entry was last sent to the backend, or since its drain began.",
      backends.compactMap { row in row.lastNewS.map { (names(row), $0) } })
    out.family(
      "sluice_backend_drained", .gauge, "Whether the backend's drain is over: no flow is left.",
      backends.map { (names($0), $0.drained ? 1 : 0) })
    out.family(
      "sluice_backend_weight", .gauge, "Configured weight, overrides included.",
      backends.map { (names($0), Double($0.weight)) })
    out.family(
      "sluice_backend_table_share_ratio", .gauge, "Share of the pool's slots.",
      backends.map { (names($0), $0.share) })
    out.family(
      "sluice_backend_state", .gauge, "1 for the state that the backend is in.",
      backends.flatMap { row in
        ["ready", "drain", "maint", "leaving"].map { state in
          (names(row) + [("state", state)], row.state == state ? 1 : 0)
        }
      })
  }
}
