// SPDX-License-Identifier: Apache-2.0

/// A change of a backend's health.
public struct HealthTransition: Sendable, Hashable {
  public var backend: BackendKey
  public var from: HealthState
  public var to: HealthState
  /// Why the probe that caused the change failed; `nil`: it passed.
  public var reason: String?
  /// The end of the hold that damping puts on the target.
  public var heldUntil: Duration?
}

/// The state of a pool that is checked.
public struct PoolHealth: Hashable, Sendable {
  /// Whether it has enough healthy backends.
  public var isSufficient: Bool
  /// The number of healthy backends that may get new flows.
  public var healthy: Int
  /// The number of healthy backends needed: what the pool requires, and at least one. (A pool that is insufficient
  /// needs `hysteresis` more to become sufficient.)
  public var required: Int
  /// The policy in effect while the pool is insufficient; `nil` if it is sufficient.
  public var policy: InsufficientPolicy?
  /// The names of backends that only the guard keeps in use.
  public var heldByGuard: [String]
}

/// The backends to be in use.
public struct HealthDecision: Sendable, Hashable {
  /// All backends of all checked pools.
  public var isInUse: [BackendKey: Bool] = [:]
  /// All checked pools by name, except those that are ``awaited`` for the first time.
  public var pools: [String: PoolHealth] = [:]
  /// Pools that wait for the first verdicts of their backends, which ``PoolTracker`` bounds.
  public var awaited: Set<String> = []

  /// Nothing is checked.
  public init() {}
}

extension DesiredState {
  /// A copy with the health of its backends and of those that are leaving. Unchecked backends are in use.
  public func applying(_ health: HealthDecision) -> DesiredState {
    var state = self
    let checked = Set(health.isInUse.keys.lazy.map(\.pool))
    for (index, pool) in pools.enumerated() {
      let isChecked = checked.contains(pool.name)
      for (position, backend) in pool.backends.enumerated() {
        let isInUse =
          !isChecked || health.isInUse[BackendKey(pool: pool.name, backend: backend.name)] ?? true
        // A pool of which nothing is written shares its storage with this state's: comparing both takes no time.
        if backend.isInUse != isInUse { state.pools[index].backends[position].isInUse = isInUse }
      }
    }
    state.awaited = health.awaited
    state.unusableLeaving = Set(health.isInUse.compactMap { $0.value ? nil : $0.key.leaving })
    return state
  }
}
