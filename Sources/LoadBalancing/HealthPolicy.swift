// SPDX-License-Identifier: Apache-2.0

/// The policy for a pool with fewer healthy backends than it requires.
public enum InsufficientPolicy: String, Hashable, Sendable, CaseIterable {
  /// Only healthy backends are used, even if there are none; the pool's services count as withdrawn.
  case withdraw
  /// The backends that were in use when the pool last had enough stay in use.
  case keep
  /// All backends are used, whatever their health.
  case all
}

/// The limit for what health checks alone may remove from a pool, so that a fault of the checks does not empty it.
public struct HealthGuard: Hashable, Sendable {
  /// Percent of the pool's backends, rounded up, that may be taken out of use within `interval`. 100: all.
  public var share: Int
  public var interval: Duration

  public init(share: Int = 50, interval: Duration = .seconds(60)) {
    self.share = share
    self.interval = interval
  }
}

/// How a pool uses the health of its backends.
public struct HealthPolicy: Hashable, Sendable {
  /// `nil`: backends are not checked.
  public var check: HealthCheck?
  /// The number of healthy backends beyond the required ones that an insufficient pool needs to become sufficient.
  public var hysteresis: Int
  public var onInsufficient: InsufficientPolicy
  public var `guard`: HealthGuard

  public init(
    check: HealthCheck? = nil, hysteresis: Int = 0, onInsufficient: InsufficientPolicy = .withdraw,
    guard: HealthGuard = HealthGuard()
  ) {
    self.check = check
    self.hysteresis = hysteresis
    self.onInsufficient = onInsufficient
    self.guard = `guard`
  }
}
