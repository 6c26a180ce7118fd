// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Netlink

/// What the control API tells of backends. All that rows are made of is gathered once for all of them: there may be a
/// hundred thousand, and changes wait meanwhile.
extension Reconciler {
  func backends() throws -> [BackendRow] {
    rows(of: presentPools, by: try forwardedRuns()).map(\.row)
  }

  func backends(of pool: String) throws -> [BackendRow] {
    guard presentPools.contains(pool) else {
      throw ControlError.notFound("pool", pool, among: Array(presentPools))
    }
    return rows(of: [pool], by: try forwardedRuns(of: [pool])).map(\.row)
  }

  func backend(_ name: String, in pool: String) throws -> BackendRow {
    let backend = try installedBackend(name, in: pool)
    let rows = rows(of: [pool], by: try forwardedRuns(of: [pool]))
    guard let row = rows.first(where: { $0.backend.number == backend.number })?.row else {
      throw ControlError.notFound("backend", name, among: rows.map(\.row.name))
    }
    return row
  }

  /// Pools that have a table, or backends that are leaving.
  var presentPools: Set<String> {
    Set(installed.pools.keys).union(installed.backends.values.map(\.pool))
  }

  /// The backend that a name means: a configured one rather than one that is leaving.
  func installedBackend(_ name: String, in pool: String) throws -> InstalledState.Backend {
    guard presentPools.contains(pool) else {
      throw ControlError.notFound("pool", pool, among: Array(presentPools))
    }
    let backends = installed.backends(of: pool)
    guard
      let backend = installed.backend(named: name, in: pool) ?? backends.last(where: { $0.name == name })
    else {
      throw ControlError.notFound("backend", name, among: backends.map(\.name))
    }
    return backend
  }

  /// Each backend with what is told of it.
  func rows(
    of pools: Set<String>, by runs: [ForwardedRun]
  ) -> [(backend: InstalledState.Backend, row: BackendRow)] {
    let gathered = BackendFacts(
      wanted: desired.pools.filter { pools.contains($0.name) }, overrides: overrides,
      healths: checks?.healths() ?? [:])
    let runs = Dictionary(grouping: runs, by: \.pool)
    let present = Dictionary(
      grouping: installed.backends.values.filter { pools.contains($0.pool) }, by: \.pool)
    return pools.sorted().flatMap { pool in
      let counts = installed.slotCounts(of: pool)
      let slots = Double(max(installed.pools[pool]?.slots.count ?? 1, 1))
      let quiet = drain(of: pool).quiet
      return (present[pool] ?? []).sorted { ($0.name, $0.number) < ($1.name, $1.number) }.map { backend in
        let total = (runs[pool] ?? []).reduce(Counter()) { $0 + ($1[backend] ?? Counter()) }
        let share = Double(counts[backend.number] ?? 0) / slots
        return (backend, row(backend, share: share, total, quiet: quiet, gathered))
      }
    }
  }

  private func row(
    _ backend: InstalledState.Backend, share: Double, _ total: Counter, quiet: Int, _ facts: BackendFacts
  ) -> BackendRow {
    let key = BackendKey(pool: backend.pool, backend: backend.name)
    let checkKey = checkKey(of: backend)
    let wanted = checkKey.leaving == nil ? facts.wanted[key] : nil
    let health = facts.healths[checkKey]
    let way = ways[backend.address]
    let progress = progress(of: backend)
    return BackendRow(
      pool: backend.pool, name: backend.name, address: backend.address.description,
      weight: wanted?.weight ?? 0,
      state: wanted?.state.rawValue ?? "leaving", health: (health?.state ?? .unchecked).rawValue,
      reason: health?.reason, share: share, flows: progress.flows,
      lastNewS: progress.lastNew, drained: progress.isOver(quiet: quiet),
      packets: total.packets, bytes: total.bytes, via: way?.via?.description,
      mac: way?.state.mac.flatMap { HardwareAddress(octets: $0) }.map { "\($0)" }, mtu: way?.state.mtu,
      trouble: way?.trouble, override: facts.overrides[key].map(describe))
  }

  private func describe(_ override: BackendOverride) -> BackendRow.Override {
    BackendRow.Override(
      changes: override.changes, by: override.provenance.by,
      at: timestamp(Date(timeIntervalSince1970: override.provenance.at)), reason: override.provenance.reason)
  }
}

/// What is known of backends by their names.
private struct BackendFacts {
  var wanted: [BackendKey: Backend] = [:]
  let overrides: [BackendKey: BackendOverride]
  let healths: [BackendKey: (state: HealthState, reason: String?)]

  init(
    wanted pools: [Pool], overrides: [BackendOverride],
    healths: [BackendKey: (state: HealthState, reason: String?)]
  ) {
    for pool in pools {
      for backend in pool.backends { wanted[BackendKey(pool: pool.name, backend: backend.name)] = backend }
    }
    self.overrides = Dictionary(
      overrides.map { (BackendKey(pool: $0.pool, backend: $0.backend), $0) },
      uniquingKeysWith: { first, _ in first })
    self.healths = healths
  }
}

extension BackendOverride {
  /// What it changes: `added`, `removed`, `state=drain`, `weight=50`.
  var changes: [String] {
    var changes: [String] = []
    switch presence {
    case .asConfigured: break
    case .added(let address): changes.append("added \(address)")
    case .removed: changes.append("removed")
    }
    if let state { changes.append("state=\(state.rawValue)") }
    if let weight { changes.append("weight=\(weight)") }
    return changes
  }
}
