// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// Metrics of services and backends.
extension Metrics {
  func addServices(to out: inout Exposition) {
    let services = services.map { service in
      let key = service.service.key
      let labels = [
        ("service", service.service.name), ("vip", key.address.description),
        ("port", key.port == 0 ? "any" : "\(key.port)"), ("protocol", key.transport.name),
      ]
      return (labels: labels, pool: service.service.pool, forwarded: service.forwarded)
    }
    out.family(
      "sluice_service_info", .gauge, "The pool that a service has, as a label.",
      services.map { ($0.labels + [("pool", $0.pool)], 1) })
    out.counters(
      "sluice_service_packets_total", "Packets forwarded for a service.",
      services.map { ($0.labels, $0.forwarded.packets) })
    out.counters(
      "sluice_service_bytes_total", "Octets of frames forwarded for a service.",
      services.map { ($0.labels, $0.forwarded.bytes) })
  }

  func addBackends(to out: inout Exposition) {
    let backends = backends.map { backend in
      let installed = backend.facts.backend
      let labels = [
        ("pool", installed.pool), ("backend", installed.name), ("address", installed.address.description),
      ]
      return (labels: labels, backend: backend)
    }
    out.counters(
      "sluice_backend_packets_total", "Packets forwarded to a backend.",
      backends.map { ($0.labels, $0.backend.forwarded.packets) })
    out.counters(
      "sluice_backend_bytes_total", "Octets of frames forwarded to a backend.",
      backends.map { ($0.labels, $0.backend.forwarded.bytes) })
    let gauges: [(name: String, help: String, value: (BackendFacts) -> Double?)] = [
      (
        "sluice_backend_flows", "Live flows in the flow table; there may be more that need no entry.",
        { Double($0.progress.flows) }
      ),
      (
        "sluice_backend_last_new_flow_seconds",
        "Seconds since an unknown flow of the backend was last confirmed, or since its drain began.",
        \.progress.lastNew
      ),
      (
        "sluice_backend_drained", "Whether the backend's drain is over: no flow is left.",
        { $0.isDrained ? 1 : 0 }
      ),
      ("sluice_backend_weight", "Configured weight, overrides included.", { Double($0.weight) }),
      ("sluice_backend_table_share_ratio", "Share of the pool's slots.", \.share),
    ]
    for gauge in gauges {
      out.family(
        gauge.name, .gauge, gauge.help,
        backends.compactMap { labels, backend in gauge.value(backend.facts).map { (labels, $0) } })
    }
    out.family(
      "sluice_backend_state", .gauge, "1 for the state that the backend is in.",
      backends.flatMap { labels, backend in
        (AdministrativeState.allCases.map(\.rawValue) + ["leaving"]).map { state in
          (labels + [("state", state)], backend.facts.state == state ? 1 : 0)
        }
      })
    out.counters(
      "sluice_backend_state_changes_total", "Changes of the state.",
      backends.map { ($0.labels, $0.backend.changes?.count ?? 0) })
    out.family(
      "sluice_backend_last_state_change_timestamp_seconds", .gauge,
      "When the state became what it is, or the daemon first saw the backend.",
      backends.compactMap { labels, backend in
        backend.changes.map { (labels, $0.latest.timeIntervalSince1970) }
      })
  }
}
