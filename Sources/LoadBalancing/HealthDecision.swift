// SPDX-License-Identifier: Apache-2.0

/// A backend's health became another.
public struct HealthTransition: Sendable, Hashable {
  public var backend: BackendKey
  public var from: HealthState
  public var to: HealthState
  /// Why the probe failed that brought it about; nil: it passed.
  public var reason: String?
  /// Until when flapping keeps the target down that was probed.
  public var heldUntil: Duration?
}

/// How a pool stands that is checked.
public struct PoolHealth: Hashable, Sendable {
  /// Whether it has as many healthy backends as it requires.
  public var isSufficient: Bool
  /// Healthy backends that the operator lets take new flows.
  public var healthy: Int
  /// So many of them are needed: what the pool requires, and one at least. (A pool that became insufficient needs more
  /// by its hysteresis to be sufficient again.)
  public var required: Int
  /// By what rule backends are used while there are not enough; nil: there are.
  public var policy: InsufficientPolicy?
  /// Backends that would be out of use if the guard did not keep them, by name.
  public var heldByGuard: [String]
}

/// What is to be in use.
public struct HealthDecision: Sendable, Hashable {
  /// Every backend of every pool that is checked.
  public var isInUse: [BackendKey: Bool] = [:]
  /// Every pool that is checked, by name; not those that are ``awaited`` for the first time.
  public var pools: [String: PoolHealth] = [:]
  /// Pools that wait for the first verdicts of their backends, which ``PoolTracker`` bounds.
  public var awaited: Set<String> = []

  /// Nothing is checked.
  public init() {}
}

extension DesiredState {
  /// With what the checks say of its backends, and of those that are leaving. Backends that are not checked are in use.
  public func applying(_ health: HealthDecision) -> DesiredState {
    var state = self
    for pool in state.pools.indices {
      let name = state.pools[pool].name
      for backend in state.pools[pool].backends.indices {
        let key = BackendKey(pool: name, backend: state.pools[pool].backends[backend].name)
        state.pools[pool].backends[backend].isInUse = health.isInUse[key] ?? true
      }
    }
    state.awaited = health.awaited
    state.unusableLeaving = Set(health.isInUse.compactMap { $0.value ? nil : $0.key.leaving })
    return state
  }
}
