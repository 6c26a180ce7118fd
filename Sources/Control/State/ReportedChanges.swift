// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The last reported state of backends, so that each change is reported once.
struct ReportedChanges: Sendable {
  private struct Known {
    var backends: [BackendNumber: InstalledState.Backend]
    var desired: DesiredState
  }

  private var known: Known?

  /// Whether a plan was reported. The first plan is the state after the start, and no change.
  var hasBegun: Bool { known != nil }

  /// Reports what a plan that was applied changed for pools and backends. The first call reports nothing.
  /// - Parameters:
  ///   - desired: the desired state of the plan.
  ///   - healths: health and the reason for it, by the names of checks.
  ///   - asked: the user who caused the plan, and the reason; nil: the daemon itself.
  ///   - why: why the daemon itself releases a backend.
  mutating func report(
    installed: InstalledState, desired: DesiredState,
    healths: [BackendKey: (state: HealthState, reason: String?)] = [:], asked: Provenance?,
    why: (InstalledState.Backend) -> String?
  ) -> [Notice] {
    let old = known
    known = Known(backends: installed.backends, desired: desired)
    guard let old else { return [] }
    var notices: [Notice] = []
    // There may be a hundred thousand: only those that differ are sorted, and copies of one another are not compared.
    let changed =
      installed.backends == old.backends
      ? []
      : installed.backends.filter { old.backends[$0.key] != $0.value }.map(\.key)
        + old.backends.keys.filter { installed.backends[$0] == nil }
    for number in changed.sorted() {
      notices += Self.report(old.backends[number], installed.backends[number], asked, why)
    }
    if desired != old.desired {
      notices += Self.pools(from: old.desired, to: desired, asked)
      notices += Self.uses(from: old.desired, to: desired, healths)
      notices += Self.settings(from: old.desired, to: desired, asked)
    }
    return Notice.limited(notices, asked)
  }

  private static func report(
    _ old: InstalledState.Backend?, _ new: InstalledState.Backend?, _ asked: Provenance?,
    _ why: (InstalledState.Backend) -> String?
  ) -> [Notice] {
    switch (old, new) {
    case (let old?, let new?) where new.isLeaving && !old.isLeaving:
      return [.backend(new, old: "\(old.address)", new: "leaving", asked)]
    case (let old?, let new?) where old.isLeaving && !new.isLeaving:
      return [.backend(new, old: "leaving", new: "added \(new.address)", asked)]
    case (nil, let new?) where !new.isLeaving:
      return [.backend(new, new: "added \(new.address)", asked)]
    case (let old?, nil):
      let reason = asked == nil ? why(old) : asked?.reason
      let released = Provenance(by: asked?.by ?? "sluiced", at: asked?.at ?? 0, reason: reason)
      var notice = Notice.backend(
        old, old: old.isLeaving ? "leaving" : "\(old.address)", new: "released", released)
      notice.event?.by = asked?.by
      return [notice]
    default: return []
    }
  }

  private static func pools(
    from old: DesiredState, to new: DesiredState, _ asked: Provenance?
  ) -> [Notice] {
    let (before, now) = (Set(old.pools.map(\.name)), Set(new.pools.map(\.name)))
    return now.subtracting(before).sorted().map { .changed("pool \($0)", new: "added", asked) }
      + before.subtracting(now).sorted().map { .changed("pool \($0)", new: "removed", asked) }
  }

  /// Lines about backends that health checks take out of use or put back.
  private static func uses(
    from old: DesiredState, to new: DesiredState,
    _ healths: [BackendKey: (state: HealthState, reason: String?)]
  ) -> [Notice] {
    let before = Dictionary(old.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var notices: [Notice] = []
    for pool in new.pools {
      guard let was = before[pool.name], was.backends != pool.backends else { continue }
      let wasInUse = Dictionary(
        was.backends.map { ($0.name, $0.isInUse) }, uniquingKeysWith: { first, _ in first })
      for backend in pool.backends {
        guard let used = wasInUse[backend.name], used != backend.isInUse else { continue }
        let health = healths[BackendKey(pool: pool.name, backend: backend.name)] ?? (.unchecked, nil)
        let words = ["out of use", "in use"]
        notices.append(
          .changed(
            "backend \(pool.name)/\(backend.name)", old: words[used ? 1 : 0],
            new: words[backend.isInUse ? 1 : 0],
            Provenance(
              by: "health", at: 0, reason: health.reason ?? "its health is \(health.state.rawValue)")))
      }
    }
    return notices
  }

  /// Changed weights and states. A changed address is a backend that leaves and one that is added.
  private static func settings(
    from old: DesiredState, to new: DesiredState, _ asked: Provenance?
  ) -> [Notice] {
    new.backendDifferences(since: old).compactMap { difference in
      let changes = difference.changes.filter { $0.what != "address" }
      guard !changes.isEmpty else { return nil }
      return .backend(
        "\(difference.pool)/\(difference.backend)",
        old: changes.map { "\($0.what) \($0.old)" }.joined(separator: ", "),
        new: changes.map { "\($0.what) \($0.new)" }.joined(separator: ", "), asked)
    }
  }
}

extension Notice {
  /// What a plan that was applied does.
  /// - Parameter isStart: a start reports no services that it finds or adds.
  static func plan(_ effect: Effect, asked: Provenance?, isStart: Bool) -> [Notice] {
    var notices: [Notice] = []
    if !isStart {
      notices += limited(
        effect.servicesAdded.map { .changed("service \($0)", new: "added", asked) }
          + effect.servicesRemoved.map { .changed("service \($0)", new: "removed", asked) }, asked)
    }
    for pool in effect.pools {
      let moved = "\(pool.slotsMoved)/\(pool.slotsTotal)"
      notices.append(
        Notice.line(.info, "table published", ["pool": pool.pool, "moved": moved])
          .with(
            event: .event(
              "plan", pool.pool, new: "moved \(moved) slots", reason: asked?.reason, by: asked?.by)))
    }
    return notices + effect.warnings.map { .line(.warning, $0) }
  }
}
