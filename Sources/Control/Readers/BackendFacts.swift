// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// State of an installed backend, for rows of the API and for metrics.
struct BackendFacts: Sendable {
  var backend: InstalledState.Backend
  var weight = 0
  /// `ready`, `drain`, `maint`, or `leaving`
  var state = "leaving"
  var health = HealthState.unchecked
  /// Why the latest probe failed; nil: it passed, or there was none.
  var reason: String?
  /// Of the pool's slots, 0…1.
  var share = 0.0
  var progress: DrainProgress
  /// Whether the drain is over.
  var isDrained = false
  /// What the kernel counted for it.
  var counted = Counter()
  var path: BackendPath?
  var override: BackendOverride?

  /// Its administrative state or, if that is ready, its health.
  var effectiveState: String {
    state == AdministrativeState.ready.rawValue ? health.rawValue : state
  }

  static let effectiveStates =
    HealthState.allCases.map(\.rawValue)
    + AdministrativeState.allCases.filter { $0 != .ready }.map(\.rawValue) + ["leaving"]
}

extension Snapshot {
  /// Every backend of some pools, by pool and name.
  /// - Parameter pools: nil: all.
  func backendFacts(
    of pools: Set<String>? = nil, _ forwarded: ForwardedTotals, _ checks: CheckReading, at now: Moment
  ) -> [BackendFacts] {
    let desired = Dictionary(
      forwarding.desired.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let overridden = Dictionary(
      overrides.inForce.map { (BackendKey(pool: $0.pool, backend: $0.backend), $0) },
      uniquingKeysWith: { first, _ in first })
    let healths = checks.healths
    let all = forwarding.installed.backends.values
    let present = Dictionary(
      grouping: pools.map { pools in all.filter { pools.contains($0.pool) } } ?? Array(all), by: \.pool)
    return (pools ?? forwarding.presentPools).sorted().flatMap { pool in
      let wanted = Dictionary(
        (desired[pool]?.backends ?? []).map { ($0.name, $0) }, uniquingKeysWith: { $1 })
      let counts = forwarding.tables[pool]?.counts ?? [:]
      let slots = Double(max(forwarding.installed.pools[pool]?.slots.count ?? 1, 1))
      let quiet = configuration.drain(of: pool).quiet
      return (present[pool] ?? []).sorted { ($0.name, $0.number) < ($1.name, $1.number) }.map { backend in
        let progress = draining.progress(of: backend.number, by: flows.census, at: now)
        var facts = BackendFacts(backend: backend, progress: progress)
        let checkKey = health.checkKey(of: backend)
        if checkKey.leaving == nil, let wanted = wanted[backend.name] {
          (facts.weight, facts.state) = (wanted.weight, wanted.state.rawValue)
        }
        if !healths.isEmpty, let health = healths[checkKey] { (facts.health, facts.reason) = health }
        facts.share = Double(counts[backend.number] ?? 0) / slots
        facts.isDrained = progress.isOver(quiet: quiet)
        facts.counted = forwarded.total(of: backend.number)
        facts.path = uplinks.path(to: backend)
        if facts.path?.state.mac != nil, let written = forwarding.nextHops[backend.number] {
          facts.path?.state = written
        }
        if !overridden.isEmpty {
          facts.override = overridden[BackendKey(pool: pool, backend: backend.name)]
        }
        return facts
      }
    }
  }

  /// The backend of a name; the configured one, if a leaving one has the same name.
  func installedBackend(_ name: String, in pool: String) throws(ControlError) -> InstalledState.Backend {
    let installed = forwarding.installed
    let backends = installed.backends(of: pool)
    if backends.isEmpty { try requirePresent(pool) }
    guard
      let backend = backends.first(where: { $0.name == name && !$0.isLeaving })
        ?? backends.last(where: { $0.name == name })
    else {
      throw ControlError.notFound("backend", name, among: backends.map(\.name))
    }
    return backend
  }

  func requirePresent(_ pool: String) throws(ControlError) {
    let present = forwarding.presentPools
    guard present.contains(pool) else {
      throw ControlError.notFound("pool", pool, among: Array(present))
    }
  }
}
