// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// Plans and their effects, as functions of the snapshot.
extension Snapshot {
  /// The configuration with the overrides in force, and with what health lets take part.
  var computedDesired: DesiredState {
    configuration.inForce.desired.applying(overrides.inForce).applying(health.decision)
  }

  /// What a configuration and overrides ask for, with what health would make of it.
  func foretell(
    _ configured: DesiredState, _ overrides: [BackendOverride], known: KnownBackends? = nil, in turn: Turn
  ) -> (desired: DesiredState, decision: HealthDecision?) {
    let installed = forwarding.installed
    let wanted = configured.applying(overrides.following(installed.renames(to: configured)))
    guard var board = turn.board else { return (wanted, nil) }
    let known = known ?? self.known(in: wanted)
    board.configure(wanted, beside: installed.remainder(beside: wanted), at: turn.now.uptime) {
      known($0, $1)
    }
    let decision = board.decide(at: turn.now.uptime) ?? health.decision
    return (wanted.applying(decision), decision)
  }

  /// Whether packets may go to backends by what is installed; not known where a backend is not installed, or has another
  /// address, or where no service uses its pool: such a pool was never in use, or its first verdicts were still
  /// awaited.
  ///
  /// A backend that leaves is known, too: it has connections, and would lose them if it came back as a new one.
  /// - Parameter desired: gives pools their names.
  func known(in desired: DesiredState) -> KnownBackends {
    let installed = forwarding.installed
    return KnownBackends { installed.renamed(to: desired) }
  }

  /// - Parameters:
  ///   - expired: leaving backends that are to go.
  ///   - ended: services whose move from another pool is over.
  ///   - allowsLostFlows: also where slots would forget their flows.
  ///   - prepared: the plan of a moment ago, which may still hold.
  func plan(
    to desired: DesiredState, in turn: Turn, tickLength: Double, expired: Set<BackendNumber> = [],
    ended: Set<VirtualService.Key> = [], allowsLostFlows: Bool = false, reusing prepared: PreparedPlan? = nil
  ) throws(PlanError) -> PreparedPlan {
    let basis = PreparedPlan.Basis(
      installed: forwarding.installed, desired: desired, limits: configuration.node.limits,
      now: turn.packetTick, tickLength: tickLength, expired: expired, ended: ended,
      fulfilled: forwarding.fulfilled, census: flows.census?.found)
    if let prepared, prepared.holds(for: basis, allowsLostFlows: allowsLostFlows) { return prepared }
    return try PreparedPlan(basis, allowsLostFlows: allowsLostFlows)
  }

  /// The pools whose tables, backends or services a configuration changes: what was sent to others does not matter for
  /// whether, and with what loss, it can be put in force.
  func poolsConcerned(by configured: DesiredState) -> Set<String> {
    let before = configuration.inForce.desired
    let names = Set(configured.pools.map(\.name)).union(before.pools.map(\.name))
    let (old, new) = (before.poolsByName, configured.poolsByName)
    var concerned = names.filter { old[$0] != new[$0] }
    let wanted = Dictionary(configured.services.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    for service in forwarding.installed.services.values where wanted[service.service.key] != service.service {
      concerned.insert(service.service.pool)
      if let move = service.move { concerned.insert(move.pool) }
    }
    return concerned
  }

  /// What a change to `target` would do.
  func effect(
    of target: DesiredState, expiring: Set<BackendNumber> = [], differences: [KeyDifference]? = nil,
    in turn: Turn, tickLength: Double, reusing prepared: PreparedPlan? = nil
  ) throws(PlanError) -> ChangeEffect {
    let prepared = try plan(
      to: target, in: turn, tickLength: tickLength, expired: expiring, allowsLostFlows: true,
      reusing: prepared)
    return changeEffect(prepared.plan.effect, to: target, differences)
  }

  /// What a plan does to what is desired now. To be formed before the plan is applied.
  /// - Parameter differences: of the configuration that the plan follows; nil: it follows from runtime changes.
  func changeEffect(
    _ effect: Effect, to target: DesiredState, _ differences: [KeyDifference]? = nil
  ) -> ChangeEffect {
    ChangeEffect(
      effect, from: forwarding.desired, to: target,
      keys: differences.map(lines)
        ?? target.backendChanges(since: forwarding.desired).map { "backend \($0)" },
      uncounted: uncounted(effect))
  }

  private func lines(_ differences: [KeyDifference]) -> [String] {
    let overridden = Set(overrides.inForce.map { "backend \($0.pool)/\($0.backend)" })
    return differences.map { difference in
      if difference.needsRestart { return "\(difference.text) (after a restart)" }
      let isHidden = overridden.contains(difference.object) && difference.key != "address"
      return difference.text + (isHidden ? " (a runtime change is in force: see `sluice config diff`)" : "")
    }
  }

  /// For flows that cannot be counted: how many packets their backends were sent lately.
  private func uncounted(_ effect: Effect) -> [ChangeEffect.Uncounted] {
    let cutOff = Set(effect.backendsCutOff.map(\.pool))
    let traffic = history.traffic
    var rates: [String: Double] = [:]
    for backend in forwarding.installed.backends.values where cutOff.contains(backend.pool) {
      rates[backend.pool, default: 0] += traffic.rate(of: backend.number)?.perSecond ?? 0
    }
    return effect.backendsCutOff.map { cutOff in
      var uncounted = ChangeEffect.Uncounted(
        backend: "\(cutOff.pool)/\(cutOff.backend)", slots: cutOff.uncountedSlots,
        slotsTotal: cutOff.slotsTotal)
      if let (rate, seconds) = traffic.rate(of: cutOff.number) {
        let all = rates[cutOff.pool] ?? 0
        uncounted.packetsPerS = rate
        uncounted.share = all > 0 ? rate / all : 0
        uncounted.overS = seconds
      }
      return uncounted
    }
  }
}

extension Snapshot {
  /// What a reload of a configuration would do now.
  /// - Parameter counted: what services were sent, as read now.
  func difference(
    to read: Configuration, counted: [ForwardedRun], in turn: Turn, tickLength: Double
  ) throws(PlanError) -> ConfigurationDiff {
    var snapshot = self
    snapshot.history.noteForwarded(counted, forwarding.installed, at: turn.now)
    let differences = differences(from: configuration.inForce, to: read)
    let desired = snapshot.foretell(read.desired, overrides.inForce, in: turn).desired
    let prepared = Result { () throws(PlanError) in
      try snapshot.plan(to: desired, in: turn, tickLength: tickLength)
    }
    var effect = try snapshot.effect(
      of: desired, differences: differences, in: turn, tickLength: tickLength, reusing: try? prepared.get())
    if let refusal = snapshot.refusal(of: read, counted: counted, planned: prepared) {
      effect.warnings.append(refusal.message)
    }
    return ConfigurationDiff(
      reload: effect, drift: drift, restartRequired: differences.filter(\.needsRestart).map(\.key))
  }
}
