// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What happened since the daemon started, for metrics and for estimates of what is in use.
struct History: Sendable {
  private(set) var reloads: [ReloadOutcome.Result: UInt64] = [:]
  /// By pool: slots whose current backend a plan changed.
  private(set) var movedSlots: [String: UInt64] = [:]
  private(set) var states = StateHistory()
  private(set) var forwarded = ForwardedTotals()
  private(set) var traffic = RecentTraffic()
  /// Plans that health asked for.
  var healthPlans: UInt64 = 0
  /// Of the last plan.
  private var desired: DesiredState?

  mutating func noteReload(_ outcome: ReloadOutcome) { reloads[outcome.result, default: 0] += 1 }

  /// Adds what pairs of services and backends were sent since the last reading. Readings at every tick show which
  /// services are in use; one before a plan that removes pairs keeps what those pairs counted.
  /// - Parameters:
  ///   - installed: what the counters were read of.
  ///   - part: which of the counters count.
  mutating func noteForwarded(
    _ runs: [ForwardedRun], _ installed: InstalledState, _ part: ForwardedPart = .all, at now: Moment
  ) {
    forwarded.note(runs, installed, part)
    traffic.note(
      RecentTraffic.Totals(
        at: now.uptime.seconds, services: forwarded.services.mapValues(\.packets),
        backends: forwarded.backends.mapValues(\.packets)))
  }

  /// Records a plan that is in force.
  mutating func notePlan(_ plan: Plan, _ desired: DesiredState, at now: Moment) {
    let installed = plan.result
    for pool in plan.effect.pools { movedSlots[pool.pool, default: 0] += UInt64(pool.slotsMoved) }
    movedSlots = movedSlots.filter { installed.pools[$0.key] != nil }
    if plan.endsPairs { forwarded.keep(installed) }
    noteStates(plan, desired, at: now)
  }

  /// Forgets backends and services that are not installed any more, without a plan that says so.
  mutating func keep(_ installed: InstalledState) {
    forwarded.keep(installed)
    states.keep(installed.backends)
  }

  /// Only backends that the plan touches, and those of pools that are desired otherwise, have another state.
  private mutating func noteStates(_ plan: Plan, _ desired: DesiredState, at now: Moment) {
    // nil: all of them.
    var pools = self.desired.map { desired.poolsWithOtherBackends(than: $0) }
    pools?.formUnion(plan.backendsTouched.compactMap { plan.result.backends[$0]?.pool })
    self.desired = desired
    var wanted: [BackendKey: AdministrativeState] = [:]
    for pool in desired.pools where pools?.contains(pool.name) ?? true {
      for backend in pool.backends {
        wanted[BackendKey(pool: pool.name, backend: backend.name)] = backend.state
      }
    }
    let members = plan.result.index.members
    let numbers = (pools ?? Set(members.keys)).lazy.flatMap { (members[$0] ?? []).map(\.number) }
    for backend in numbers.compactMap({ plan.result.backends[$0] }) {
      let state = wanted[BackendKey(pool: backend.pool, backend: backend.name)]
      states.note(
        backend.isLeaving ? "leaving" : state?.rawValue ?? "leaving", of: backend.number, at: now.wall)
    }
    states.keep(plan.result.backends)
  }
}
