// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import LoadBalancing

/// What becomes of a request for a change of backends. A refused request changes nothing.
extension ControlState {
  func decision(
    on change: Change, report: ConfigurationReport?, _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    switch change.request {
    case .add(let name, let pool, let addition):
      let override = try override(adding: name, to: pool, addition, change, turn)
      return try decision(replacing: override, change, counted, turn)
    case .change(let name, let pool, let wanted):
      if let leaving = leavingOnly(name, in: pool) {
        return try decision(on: leaving, wanted, change, counted, turn)
      }
      let override = try override(changing: name, in: pool, wanted, change, turn)
      return try decision(replacing: override, change, counted, turn)
    case .remove(let name, let pool, let reason):
      return try decision(removing: name, from: pool, reason: reason, change, counted, turn)
    case .reload:
      guard let report else { return .measure }
      return try decision(on: report, change, counted, turn)
    case .attach, .detach: return .measure
    }
  }

  // MARK: Adding and changing

  private func override(
    adding name: String, to pool: String, _ addition: BackendAddition, _ change: Change, _ turn: Turn
  ) throws(ControlError) -> BackendOverride {
    let target = try self.pool(pool)
    guard let address = IPAddress(addition.address) else {
      throw .invalid(
        "address \"\(addition.address.prefix(128))\" is not an IPv4 or IPv6 address"
          + (whyNoAddress(addition.address).map { ": \($0)" } ?? ""))
    }
    let override = BackendOverride(
      pool: pool, backend: name, presence: .added(address), state: try state(addition.state),
      weight: addition.weight, provenance: provenance(change, addition.reason, turn))
    try check(override)
    if target.backend(named: name) != nil {
      throw .refused("backend-exists", "backend \(pool)/\(name) exists; change it with `backend set`")
    }
    if let other = target.backends.first(where: { $0.address == address }) {
      throw .refused("address-in-use", "backend \(pool)/\(other.name) has address \(address) already")
    }
    return override
  }

  private func override(
    changing name: String, in pool: String, _ wanted: BackendChange, _ change: Change, _ turn: Turn
  ) throws(ControlError) -> BackendOverride {
    try requireConfigured(name, in: pool)
    let provenance = provenance(change, wanted.reason, turn)
    var override =
      view.overrides.inForce.first { $0.pool == pool && $0.backend == name }
      ?? BackendOverride(pool: pool, backend: name, provenance: provenance)
    override.provenance = provenance
    if let new = try state(wanted.state) { override.state = new }
    if let new = wanted.weight { override.weight = new }
    guard wanted.state != nil || wanted.weight != nil else {
      throw .invalid("nothing to change: give weight or state")
    }
    try check(override)
    return override
  }

  private func decision(
    replacing override: BackendOverride, _ change: Change, _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    let others = view.overrides.inForce.filter {
      !($0.pool == override.pool && $0.backend == override.backend)
    }
    return try decision(
      target(others + [override], asked: override.provenance), change, counted, turn)
  }

  // MARK: Removing

  /// A backend that may have live flows needs `force`, which cuts them off.
  private func decision(
    removing name: String, from pool: String, reason: String?, _ change: Change,
    _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    let asked = provenance(change, reason, turn)
    if let leaving = leavingOnly(name, in: pool) {
      guard change.terms.force else {
        guard counted != nil else { return .measure }
        throw ControlError.refused(
          "backend-leaving",
          "\(describe(leaving, turn)); it goes when its flows have ended, or cut them off: --force")
      }
      return try cutOff(leaving, reason: reason, change, counted, turn)
    }
    try requireConfigured(name, in: pool)
    var remaining = view.overrides.inForce.filter { !($0.pool == pool && $0.backend == name) }
    if view.configuration.inForce.desired.pool(named: pool)?.backend(named: name) != nil {
      remaining.append(
        BackendOverride(pool: pool, backend: name, presence: .removed, provenance: asked))
    }
    var target = target(remaining, asked: asked)
    if !change.terms.force {
      guard let counted else { return .measure }
      try refuseIfInUse(name, in: pool, target, counted, turn)
    }
    // Another backend of the name may be leaving already.
    if change.terms.force, let number = view.forwarding.installed.backend(named: name, in: pool)?.number {
      if change.terms.dryRun { target.expiring = [number] } else { target.cutOff = number }
    }
    return try decision(target, change, counted, turn)
  }

  /// Flows of slots that did not change are not counted: a backend that takes new flows and was sent packets may have
  /// some.
  private func refuseIfInUse(
    _ name: String, in pool: String, _ target: ChangeTarget, _ counted: [ForwardedRun], _ turn: Turn
  ) throws {
    guard let backend = view.forwarding.installed.backend(named: name, in: pool), backend.isUsable,
      packets(of: backend, counted) > 0
    else { return }
    let progress = view.draining.progress(of: backend.number, by: view.flows.census, at: turn.now)
    guard !progress.isOver(quiet: view.configuration.drain(of: pool).quiet) else { return }
    let known =
      backend.isDraining
      ? "at least \(progress.flows) flows, last new one seen \(Int(progress.lastNew ?? 0)) s ago"
      : "it takes new flows, at least \(progress.flows) are known"
    var error = ControlError.refused(
      "backend-has-flows",
      "backend \(pool)/\(name) may have live flows (\(known)); let them end first: "
        + "sluice backend drain \(pool)/\(name) --wait; or cut them off: --force")
    error.body.effect = try effect(of: target, turn)
    throw error
  }

  private func packets(of backend: InstalledState.Backend, _ counted: [ForwardedRun]) -> UInt64 {
    counted.filter { $0.pool == backend.pool }.reduce(0) { $0 + ($1[backend]?.packets ?? 0) }
  }

  // MARK: Any change of overrides

  func target(_ overrides: [BackendOverride], asked: Provenance) -> ChangeTarget {
    ChangeTarget(
      configured: view.configuration.inForce.desired, overrides: overrides, asked: asked)
  }

  /// Whether a change leaves pools enough backends, and whether it is only foretold.
  func decision(
    _ target: ChangeTarget, _ change: Change, _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    let desired = view.foretell(target.configured, target.overrides, in: turn).desired
    let breaches =
      change.terms.force ? [] : FloorBreach.breaches(in: desired, since: view.forwarding.desired)
    guard !breaches.isEmpty || change.terms.dryRun else { return .carryOut(target) }
    guard counted != nil else { return .measure }
    let effect = try effect(of: target, turn)
    guard !breaches.isEmpty else {
      return .reply(
        ChangeReply(generation: view.configuration.generation, dryRun: true, effect: effect))
    }
    let message = breaches.map(\.description).joined(separator: "; ")
    var error = ControlError.refused("pool-floor", "\(message); to do it nevertheless: --force")
    error.body.effect = effect
    throw error
  }

  func effect(of target: ChangeTarget, _ turn: Turn) throws(PlanError) -> ChangeEffect {
    try view.effect(
      of: view.foretell(target.configured, target.overrides, in: turn).desired,
      expiring: target.expiring, differences: target.reload?.differences, in: turn,
      tickLength: start.tickLength, reusing: target.prepared)
  }

  // MARK: Checks

  private func pool(_ name: String) throws(ControlError) -> Pool {
    let desired = view.forwarding.desired
    guard let pool = desired.pool(named: name) else {
      throw .notFound("pool", name, among: desired.pools.map(\.name))
    }
    return pool
  }

  private func requireConfigured(_ name: String, in pool: String) throws(ControlError) {
    let pool = try self.pool(pool)
    guard pool.backend(named: name) == nil else { return }
    throw .notFound("backend", name, among: pool.backends.map(\.name))
  }

  func state(_ word: String?) throws(ControlError) -> AdministrativeState? {
    guard let word else { return nil }
    guard let state = AdministrativeState(rawValue: word) else {
      let known = AdministrativeState.allCases.map(\.rawValue)
      throw .invalid(
        "state \"\(word)\" is none of \(known.joined(separator: ", "))",
        suggestion: nearestMatch(to: word, among: known))
    }
    return state
  }

  private func check(_ override: BackendOverride) throws(ControlError) {
    if let fault = view.forwarding.desired.fault(of: override) { throw .invalid(fault) }
  }

  func provenance(_ change: Change, _ reason: String?, _ turn: Turn) -> Provenance {
    Provenance(
      by: change.requester.identity, at: turn.now.wall.timeIntervalSince1970, reason: reason)
  }
}
