// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// What the checks add to the metrics.
extension Reconciler {
  func addChecks(to out: inout Exposition) {
    let counts = checks?.state.withLock { $0.counts } ?? CheckCounts()
    out.family(
      "sluice_check_probes_total", .counter, "Probes by outcome: ok, or the layer that failed.",
      counts.probes.sorted { $0.key < $1.key }.map { series, count in
        (names(series.backend) + [("type", series.type), ("result", series.result)], Double(count))
      })
    out.histograms(
      "sluice_check_duration_seconds", "How long probes took, from their beginning to their last octet.",
      counts.durations.sorted { $0.key < $1.key }.map { kind, histogram in
        ([("pool", kind.pool), ("type", kind.type)], histogram)
      })
    let backends = (checks?.healths() ?? [:]).sorted { $0.key < $1.key }
    out.family(
      "sluice_backend_health", .gauge, "1 for the health that the checks give a backend.",
      backends.flatMap { backend in
        HealthState.allCases.map { state in
          (names(backend.key) + [("health", state.rawValue)], backend.value.state == state ? 1 : 0)
        }
      })
    out.family(
      "sluice_backend_health_changes_total", .counter, "Changes of a backend's health.",
      counts.transitions.sorted { $0.key < $1.key }.map { (names($0.key), Double($0.value)) })
    let pools = health.pools.sorted { $0.key < $1.key }
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
    out.family(
      "sluice_health_plans_total", .counter, "Plans that health asked for.", [([], Double(healthPlans))])
    out.family(
      "sluice_probes_in_flight", .gauge, "Probes under way.", [([], Double(checks?.prober.inFlight ?? 0))])
  }

  private func names(_ backend: BackendKey) -> [(String, String)] {
    [("pool", backend.pool), ("backend", backend.backend)]
  }
}

extension Exposition {
  mutating func histograms(
    _ name: String, _ help: String, _ series: [(labels: [(String, String)], histogram: CheckCounts.Histogram)]
  ) {
    head(name, .histogram, help)
    for (labels, histogram) in series {
      var total = 0.0
      for (index, count) in histogram.counts.enumerated() {
        total += Double(count)
        let bound =
          index < CheckCounts.Histogram.bounds.count ? "\(CheckCounts.Histogram.bounds[index])" : "+Inf"
        sample(name + "_bucket", labels + [("le", bound)], total)
      }
      sample(name + "_sum", labels, histogram.seconds)
      sample(name + "_count", labels, total)
    }
  }
}
