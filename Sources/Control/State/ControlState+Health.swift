// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// How health takes part in what is desired.
extension ControlState {
  /// The prober runs, or could not be started. Until it runs no backend is checked, and all count as healthy; every
  /// tick tries again.
  mutating func checksStarted(_ trouble: String?, _ turn: Turn) {
    let before = view.health.trouble
    guard trouble != before else { return }
    view.health.trouble = trouble
    if let trouble {
      emit(.notice(.line(.error, "health checks cannot be started", ["error": trouble])))
    } else {
      emit(.notice(.line(.notice, "health checks are started")))
      // The checks know neither what is to be checked nor how probes reach it.
      requestCheck(known: view.known(in: view.configuration.inForce.desired))
    }
    if isRunning { updateAlarms(turn) }
  }

  /// The health checks decided. Decisions wait for no change of an operator.
  mutating func healthDecided(_ decision: HealthDecision, _ turn: Turn) {
    if case .checking(let begun) = phase {
      putInForce(decision, turn)
      desiredChanged()
      saveHealth()
      return startChecked(begun, turn)
    }
    if decision != view.health.decision {
      putInForce(decision, turn)
      desiredChanged()
      kernel.waitsForTick = false
    }
    reportReadiness()
    // Otherwise alarms follow when the plan is in force: they compare the decision with what is installed.
    if view.forwarding.isFulfilled { updateAlarms(turn) }
  }

  /// Puts a decision in force, and reports what it changes for pools.
  mutating func putInForce(_ decision: HealthDecision, _ turn: Turn) {
    let old = view.health.decision
    guard decision != old else { return }
    for (name, pool) in decision.pools.sorted(by: { $0.key < $1.key }) {
      report(pool, of: name, before: old.pools[name])
    }
    for name in decision.awaited.subtracting(old.awaited).sorted() {
      emit(
        .notice(
          Notice.line(.notice, "pool awaits the first verdicts on its backends", ["pool": name]).with(
            event: .event(
              "pool", name, new: "awaited", reason: "its backends have no health verdict yet"))))
    }
    for name in old.awaited.subtracting(decision.awaited).sorted() {
      // A pool that was removed, or is not checked any more, got no verdict.
      guard let pool = decision.pools[name] else { continue }
      let count = pool.count
      emit(
        .notice(
          Notice.line(.notice, "pool has its first verdicts", ["pool": name, "backends": count]).with(
            event: .event("pool", name, old: "awaited", new: "judged", reason: count))))
    }
    view.health.decision = decision
    saveHealth()
  }

  private mutating func report(_ pool: PoolHealth, of name: String, before: PoolHealth?) {
    if pool.isSufficient != before?.isSufficient ?? true {
      let policy = pool.policy.map { ": \($0.rawValue)" } ?? ""
      let (old, new) = pool.isSufficient ? ("insufficient", "sufficient") : ("sufficient", "insufficient")
      emit(
        .notice(
          Notice.line(
            pool.isSufficient ? .notice : .error, "pool is \(new)\(policy)",
            ["pool": name, "backends": pool.count]
          ).with(event: .event("pool", name, old: old, new: new, reason: pool.count + policy))))
    }
    if pool.heldByGuard != before?.heldByGuard ?? [] {
      let held = pool.heldByGuard.joined(separator: ", ")
      let what = held.isEmpty ? "holds no backend any more" : "keeps in use although down: \(held)"
      emit(
        .notice(
          Notice.line(held.isEmpty ? .notice : .error, "guard \(what)", ["pool": name])
            .with(event: .event("pool", name, new: "guarded", reason: "the guard \(what)"))))
    }
  }

  /// Saves which backends health keeps out of use. Backends of awaited pools have no verdict yet.
  private mutating func saveHealth() {
    let desired = view.computedDesired
    let absentees = desired.pools.filter { !desired.awaited.contains($0.name) }.flatMap { pool in
      pool.backends.filter { !$0.isInUse }.map {
        HealthStore.Absentee(BackendKey(pool: pool.name, backend: $0.name), $0.address)
      }
    }
    emit(.saveHealth(Set(absentees)))
  }

  /// Checks what is desired now.
  /// - Parameter known: as it was before what is desired was installed: a backend that a change brings is new.
  mutating func requestCheck(known: KnownBackends) {
    let wanted = view.configuration.inForce.desired.applying(view.overrides.inForce)
    let remainder = view.forwarding.installed.remainder(beside: wanted)
    view.health.remainder = remainder
    updateProbePaths()
    emit(.check(CheckRequest(desired: wanted, remainder: remainder, known: known)))
  }

  /// Checks what a plan left behind, and no more what it released.
  mutating func checkRemainder(_ turn: Turn) {
    let configured = view.configuration.inForce.desired
    let remainder = view.forwarding.installed.remainder(
      beside: configured.applying(view.overrides.inForce))
    if !remainder.isAlike(view.health.remainder) { requestCheck(known: view.known(in: configured)) }
  }
}

extension PoolHealth {
  fileprivate var count: String { "\(healthy) healthy, \(required) required" }
}
