// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import LoadBalancing

/// What the control API changes. A refused request changes nothing.
extension Reconciler {
  func add(
    _ name: String, to pool: String, _ addition: BackendAddition, by requester: Requester,
    _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    let target = try self.pool(pool)
    guard let address = IPAddress(addition.address) else {
      throw ControlError.invalid(
        "address \"\(addition.address.prefix(128))\" is not an IPv4 or IPv6 address"
          + (whyNoAddress(addition.address).map { ": \($0)" } ?? ""))
    }
    let override = BackendOverride(
      pool: pool, backend: name, presence: .added(address), state: try state(addition.state),
      weight: addition.weight, provenance: provenance(requester, addition.reason))
    try check(override)
    if target.backend(named: name) != nil {
      throw ControlError.refused(
        "backend-exists", "backend \(pool)/\(name) exists; change it with `backend set`")
    }
    if let other = target.backends.first(where: { $0.address == address }) {
      throw ControlError.refused(
        "address-in-use", "backend \(pool)/\(other.name) has address \(address) already")
    }
    return try await change(override, terms)
  }

  func change(
    _ name: String, in pool: String, _ change: BackendChange, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    if let leaving = leavingOnly(name, in: pool) {
      return try await self.change(leaving, change, by: requester, terms)
    }
    _ = try configured(name, in: pool)
    var override =
      overrides.first { $0.pool == pool && $0.backend == name }
      ?? BackendOverride(pool: pool, backend: name, provenance: provenance(requester, change.reason))
    override.provenance = provenance(requester, change.reason)
    if let new = try state(change.state) { override.state = new }
    if let new = change.weight { override.weight = new }
    guard change.state != nil || change.weight != nil else {
      throw ControlError.invalid("nothing to change: give weight or state")
    }
    try check(override)
    return try await self.change(override, terms)
  }

  /// Takes a backend out of the pool. One that may have live flows needs `force`, which cuts them off.
  func remove(
    _ name: String, from pool: String, reason: String?, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    if let leaving = leavingOnly(name, in: pool) {
      guard terms.force else {
        _ = try freshCensus()
        throw ControlError.refused(
          "backend-leaving",
          "\(says(leaving)); it goes when its flows have ended, or cut them off: --force")
      }
      return try await cutOff(leaving, reason: reason, by: requester, terms)
    }
    _ = try configured(name, in: pool)
    var remaining = overrides.filter { !($0.pool == pool && $0.backend == name) }
    if configuration.desired.pool(named: pool)?.backend(named: name) != nil {
      remaining.append(
        BackendOverride(
          pool: pool, backend: name, presence: .removed, provenance: provenance(requester, reason)))
    }
    if !terms.force { try refuseIfInUse(name, in: pool, remaining) }
    let asked = provenance(requester, reason)
    // Another backend of the name may be leaving already.
    let number = installed.backend(named: name, in: pool)?.number
    if terms.force, terms.dryRun, let number {
      return try await apply(remaining, expiring: [number], asked: asked, terms)
    }
    var reply = try await apply(remaining, asked: asked, terms)
    guard terms.force, !terms.dryRun, let number, let gone = installed.backends[number],
      checkKey(of: gone).leaving != nil
    else { return reply }
    _ = try await put(overrides, expiring: [number], asked: asked)
    reply.generation = generation
    reply.notSaved = unsavedChange
    return reply
  }

  /// Flows of slots that did not change are nowhere counted: whoever takes new flows and was sent packets may have some.
  private func refuseIfInUse(_ name: String, in pool: String, _ remaining: [BackendOverride]) throws {
    let row = try backend(name, in: pool)
    guard let backend = installed.backend(named: name, in: pool), backend.isUsable, row.packets > 0 else {
      return
    }
    _ = try freshCensus()
    let progress = progress(of: backend)
    guard !progress.isOver(quiet: drain(of: pool).quiet) else { return }
    let known =
      backend.isDraining
      ? "at least \(progress.flows) flows, last new one seen \(Int(progress.lastNew ?? 0)) s ago"
      : "it takes new flows, at least \(progress.flows) are known"
    var error = ControlError.refused(
      "backend-has-flows",
      "backend \(pool)/\(name) may have live flows (\(known)); let them end first: "
        + "sluice backend drain \(pool)/\(name) --wait; or cut them off: --force")
    error.body.effect = try foretell(desired(configuration.desired, remaining))
    throw error
  }

  private func change(_ override: BackendOverride, _ terms: ChangeTerms) async throws -> ChangeReply {
    let others = overrides.filter { !($0.pool == override.pool && $0.backend == override.backend) }
    return try await apply(others + [override], asked: override.provenance, terms)
  }

  func apply(
    _ overrides: [BackendOverride], expiring: Set<BackendNumber> = [], asked: Provenance,
    _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    let (target, before) = (desired(configuration.desired, overrides), desired)
    do {
      let breaches = terms.force ? [] : FloorBreach.breaches(in: target, since: before)
      if !breaches.isEmpty {
        let message = breaches.map(\.description).joined(separator: "; ")
        var error = ControlError.refused("pool-floor", "\(message); to do it nevertheless: --force")
        error.body.effect = try foretell(target, expiring: expiring)
        throw error
      }
      guard !terms.dryRun else {
        let effect = try foretell(target, expiring: expiring)
        return ChangeReply(generation: generation, dryRun: true, effect: effect)
      }
      let effect = try await put(
        overrides, expiring: expiring, asked: asked, requiresSaved: terms.requiresSaved)
      return ChangeReply(
        generation: generation, dryRun: false, effect: effect, notSaved: unsavedChange)
    } catch let error as PlanError {
      throw refusal(error)
    }
  }

  func refusal(_ error: PlanError) -> ControlError {
    switch error {
    case .limitExceeded, .poolFull: ControlError.refused("limit-exceeded", "\(error)")
    case .losesFlows: ControlError.refused("loses-flows", "\(error)")
    }
  }

  /// What a change to `target` would do. Counts flows and packets anew.
  func foretell(
    _ target: DesiredState, expiring: Set<BackendNumber> = [], differences: [KeyDifference]? = nil
  ) throws -> ChangeEffect {
    _ = try freshCensus()
    noteForwarded(try forwardedRuns())
    let effect = try plan(target, expired: expiring, allowsLostFlows: true).get().plan.effect
    return changeEffect(effect, to: target, differences)
  }

  // MARK: Checks

  private func pool(_ name: String) throws -> Pool {
    guard let pool = desired.pool(named: name) else {
      throw ControlError.notFound("pool", name, among: desired.pools.map(\.name))
    }
    return pool
  }

  private func configured(_ name: String, in pool: String) throws -> Backend {
    let pool = try self.pool(pool)
    guard let backend = pool.backend(named: name) else {
      throw ControlError.notFound("backend", name, among: pool.backends.map(\.name))
    }
    return backend
  }

  func state(_ word: String?) throws -> AdministrativeState? {
    guard let word else { return nil }
    guard let state = AdministrativeState(rawValue: word) else {
      let known = AdministrativeState.allCases.map(\.rawValue)
      throw ControlError.invalid(
        "state \"\(word)\" is none of \(known.joined(separator: ", "))",
        suggestion: nearestMatch(to: word, among: known))
    }
    return state
  }

  private func check(_ override: BackendOverride) throws {
    if let fault = desired.fault(of: override) { throw ControlError.invalid(fault) }
  }

  func provenance(_ requester: Requester, _ reason: String?) -> Provenance {
    Provenance(by: requester.identity, at: Date().timeIntervalSince1970, reason: reason)
  }
}
