// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// Where metrics come from.
extension Reconciler {
  func metrics() throws -> String { try scrape().text }

  /// All metrics, read from the kernel at this moment.
  private func scrape() throws -> Scrape {
    let runs = try forwardedRuns()
    noteForwarded(runs)
    var scrape = Scrape(status: try status(), configurationLoadedAt: configurationLoadedAt.date)
    scrape.overrides = overrides
    scrape.tally = tally
    scrape.flowEvents = try forwarder.flowEvents()
    // Both are in the order of the keys.
    scrape.services = zip(installed.services.keys.sorted(), services(by: runs)).map { key, row in
      Scrape.Service(row: row, forwarded: tally.forwarded.services[key] ?? Counter())
    }
    scrape.backends = rows(of: presentPools, by: runs).map { backend, row in
      Scrape.Backend(
        row: row, forwarded: tally.forwarded.backends[backend.number] ?? Counter(),
        changes: tally.states[backend.number])
    }
    scrape.checks = try checkMetrics()
    scrape.requests = requests.counts
    scrape.events = events.counts
    scrape.followers = events.followerCount
    scrape.process = ProcessUsage.now()
    return scrape
  }

  private func checkMetrics() throws -> Scrape.Checks {
    var healths: [BackendKey: HealthState] = [:]
    // Of two backends of a name the one that is not leaving is shown.
    for (key, health) in (checks?.healths() ?? [:]).sorted(by: { $0.key > $1.key }) {
      healths[BackendKey(pool: key.pool, backend: key.backend)] = health.state
    }
    return Scrape.Checks(
      counts: checks?.state.withLock { $0.counts } ?? CheckCounts(), healths: healths, pools: health.pools,
      plans: UInt64(healthPlans),
      inFlight: checks?.prober.inFlight ?? 0, packets: try probeTunnel.counts())
  }

  /// Adds up what pairs of services and backends were sent since the last look. To be called from time to time, so that
  /// little is missed of a pair that ends, and that it is known what was in use lately.
  func noteForwarded(_ runs: [ForwardedRun]) {
    var pairs: [ForwardedTotals.Pair: Counter] = [:]
    let backends = Dictionary(grouping: installed.backends.values, by: \.pool)
    for run in runs {
      for backend in backends[run.pool] ?? [] {
        guard let counter = run[backend] else { continue }
        let pair = ForwardedTotals.Pair(service: run.service, backend: backend.number)
        pairs[pair] = (pairs[pair] ?? Counter()) + counter
      }
    }
    tally.note(pairs)
    let now = startedAt.elapsed.seconds
    traffic.note(
      RecentTraffic.Totals(
        at: now, services: tally.forwarded.services.mapValues(\.packets),
        backends: tally.forwarded.backends.mapValues(\.packets)))
  }
}
