// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// Metrics of health checks.
extension Metrics {
  struct Checks: Sendable {
    var counts = CheckCounts()
    /// Of every backend that is checked.
    var healths: [BackendKey: HealthState] = [:]
    /// Every pool that is checked.
    var pools: [String: PoolHealth] = [:]
    var plans: UInt64 = 0
    var inFlight = 0
    /// What became of probes' packets in the program at the interface's egress, by verdict.
    var packets: [String: UInt64] = [:]
  }

  func addChecks(to out: inout Exposition) {
    addProbes(to: &out)
    let healths = checks.healths.sorted { $0.key < $1.key }
    out.family(
      "sluice_backend_health", .gauge, "1 for the health that the checks give a backend.",
      healths.flatMap { backend, health in
        HealthState.allCases.map { state in
          (names(backend) + [("health", state.rawValue)], health == state ? 1 : 0)
        }
      })
    let changes = checks.counts.changes.sorted { $0.key < $1.key }
    out.counters(
      "sluice_backend_health_changes_total", "Changes of a backend's health.",
      changes.map { (names($0.key), $0.value.count) })
    out.family(
      "sluice_backend_last_health_change_timestamp_seconds", .gauge,
      "When the health became what it is, or the backend was first checked.",
      changes.map { (names($0.key), $0.value.latest.timeIntervalSince1970) })
    let pools = checks.pools.sorted { $0.key < $1.key }
    out.family(
      "sluice_pool_healthy_backends", .gauge,
      "Backends that the checks find healthy and that may take new flows.",
      pools.map { ([("pool", $0.key)], Double($0.value.healthy)) })
    out.family(
      "sluice_pool_sufficient", .gauge, "Whether a checked pool has as many healthy backends as it requires.",
      pools.map { ([("pool", $0.key)], $0.value.isSufficient ? 1 : 0) })
    out.family(
      "sluice_pool_guarded_backends", .gauge, "Backends that are down and kept in use by the pool's guard.",
      pools.map { ([("pool", $0.key)], Double($0.value.heldByGuard.count)) })
    out.counters("sluice_health_plans_total", "Plans that health asked for.", [([], checks.plans)])
  }

  private func addProbes(to out: inout Exposition) {
    out.counters(
      "sluice_check_probes_total", "Probes by outcome: ok, or the layer that failed.",
      checks.counts.probes.sorted { $0.key < $1.key }.map { series, count in
        (names(series.backend) + [("type", series.type), ("result", series.result)], count)
      })
    out.histograms(
      "sluice_check_duration_seconds", "How long probes took, from their beginning to their last octet.",
      checks.counts.durations.sorted { $0.key < $1.key }.map { kind, histogram in
        ([("pool", kind.pool), ("type", kind.type)], histogram)
      })
    out.family(
      "sluice_probes_in_flight", .gauge, "Probes under way.", [([], Double(checks.inFlight))])
    out.counters(
      "sluice_probe_packets_total",
      "Packets of probes that go through the tunnel, by what became of them; a train of segments is one.",
      checks.packets.sorted { $0.key < $1.key }.map { ([("verdict", $0.key)], $0.value) })
  }

  private func names(_ backend: BackendKey) -> Exposition.Labels {
    [("pool", backend.pool), ("backend", backend.backend)]
  }
}
