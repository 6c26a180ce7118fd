// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import LoadBalancing

/// What metrics tell of services and backends.
extension Scrape {
  func addServices(to out: inout Exposition) {
    let labels = { (row: ServiceRow) in
      [
        ("service", row.name), ("vip", row.vip), ("port", row.port.map(String.init) ?? "any"),
        ("protocol", row.protocol),
      ]
    }
    out.family(
      "sluice_service_info", .gauge, "The pool that a service has, as a label.",
      services.map { (labels($0.row) + [("pool", $0.row.pool)], 1) })
    out.counters(
      "sluice_service_packets_total", "Packets forwarded for a service.",
      services.map { (labels($0.row), $0.forwarded.packets) })
    out.counters(
      "sluice_service_bytes_total", "Octets of frames forwarded for a service.",
      services.map { (labels($0.row), $0.forwarded.bytes) })
  }

  func addBackends(to out: inout Exposition) {
    let labels = { (row: BackendRow) in
      [("pool", row.pool), ("backend", row.name), ("address", row.address)]
    }
    out.counters(
      "sluice_backend_packets_total", "Packets forwarded to a backend.",
      backends.map { (labels($0.row), $0.forwarded.packets) })
    out.counters(
      "sluice_backend_bytes_total", "Octets of frames forwarded to a backend.",
      backends.map { (labels($0.row), $0.forwarded.bytes) })
    let gauges: [(name: String, help: String, value: (BackendRow) -> Double?)] = [
      (
        "sluice_backend_flows", "Live flows in the flow table; there may be more that need no entry.",
        { Double($0.flows) }
      ),
      (
        "sluice_backend_last_new_flow_seconds",
        "Seconds since an unknown flow of the backend was last confirmed, or since its drain began.",
        \.lastNewS
      ),
      (
        "sluice_backend_drained", "Whether the backend's drain is over: no flow is left.",
        { $0.drained ? 1 : 0 }
      ),
      ("sluice_backend_weight", "Configured weight, overrides included.", { Double($0.weight) }),
      ("sluice_backend_table_share_ratio", "Share of the pool's slots.", \.share),
    ]
    for gauge in gauges {
      out.family(
        gauge.name, .gauge, gauge.help,
        backends.compactMap { backend in gauge.value(backend.row).map { (labels(backend.row), $0) } })
    }
    out.family(
      "sluice_backend_state", .gauge, "1 for the state that the backend is in.",
      backends.flatMap { backend in
        (AdministrativeState.allCases.map(\.rawValue) + ["leaving"]).map { state in
          (labels(backend.row) + [("state", state)], backend.row.state == state ? 1 : 0)
        }
      })
    out.counters(
      "sluice_backend_state_changes_total", "Changes of the state.",
      backends.map { (labels($0.row), $0.changes?.count ?? 0) })
    out.family(
      "sluice_backend_last_state_change_timestamp_seconds", .gauge,
      "When the state became what it is, or the daemon first saw the backend.",
      backends.compactMap { backend in
        backend.changes.map { (labels(backend.row), $0.latest.timeIntervalSince1970) }
      })
  }
}
