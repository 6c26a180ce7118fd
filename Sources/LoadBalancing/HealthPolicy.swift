// SPDX-License-Identifier: Apache-2.0

/// What becomes of a pool with fewer healthy backends than it requires.
public enum InsufficientPolicy: String, Hashable, Sendable, CaseIterable {
  /// Only healthy backends are used, be it none; the pool's services count as withdrawn.
  case withdraw
  /// The backends stay in use that were so when the pool last had enough.
  case keep
  /// All backends are used, whatever their health.
  case all
}

/// How much health alone may take away from a pool: a fault of the checks must not empty it.
public struct HealthGuard: Hashable, Sendable {
  /// Percent of the pool's backends, rounded up, that may be taken out of use within `interval`. 100: all.
  public var share: Int
  public var interval: Duration

  public init(share: Int = 50, interval: Duration = .seconds(60)) {
    self.share = share
    self.interval = interval
  }
}

/// What a pool does about the health of its backends.
public struct HealthPolicy: Hashable, Sendable {
  /// nil: nobody checks.
  public var check: HealthCheck?
  /// So many healthy backends more than required make a pool sufficient that was not.
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
