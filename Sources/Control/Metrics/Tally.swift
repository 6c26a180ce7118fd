// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import LoadBalancing

/// What metrics tell of the past. What was forwarded is the source of ``RecentTraffic``, too.
struct Tally {
  private(set) var reloads: [Reconciler.ReloadOutcome.Result: UInt64] = [:]
  /// By pool: slots whose current backend a plan changed.
  private(set) var movedSlots: [String: UInt64] = [:]
  private(set) var states = StateHistory()
  private(set) var forwarded = ForwardedTotals()

  mutating func note(_ outcome: Reconciler.ReloadOutcome) { reloads[outcome.result, default: 0] += 1 }

  mutating func note(_ pairs: [ForwardedTotals.Pair: Counter]) { forwarded.note(pairs) }

  /// A plan is in force.
  mutating func note(_ proposal: Reconciler.Proposal) {
    let (installed, desired) = (proposal.plan.result, proposal.desired)
    for pool in proposal.plan.effect.pools {
      movedSlots[pool.pool, default: 0] += UInt64(pool.slotsMoved)
    }
    movedSlots = movedSlots.filter { installed.pools[$0.key] != nil }
    forwarded.keep(installed)
    var wanted: [BackendKey: AdministrativeState] = [:]
    for pool in desired.pools {
      for backend in pool.backends {
        wanted[BackendKey(pool: pool.name, backend: backend.name)] = backend.state
      }
    }
    let states = installed.backends.mapValues { backend in
      let state = wanted[BackendKey(pool: backend.pool, backend: backend.name)]
      return backend.isLeaving ? "leaving" : state?.rawValue ?? "leaving"
    }
    self.states.follow(states, at: Date())
  }
}

extension Reconciler.ReloadOutcome {
  enum Result: String, CaseIterable {
    case applied
    /// The files have mistakes.
    case invalid
    /// Connections would not survive it, or a limit is exceeded.
    case refused
    /// The data plane did not take it; it is tried again.
    case failed
  }

  var result: Result {
    if isSuccessful { return .applied }
    if !diagnostics.isEmpty { return .invalid }
    return error == nil || error is PlanError ? .refused : .failed
  }
}
