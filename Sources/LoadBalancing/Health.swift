// SPDX-License-Identifier: Apache-2.0

/// The health of a backend, as its checks find it.
public enum HealthState: String, Hashable, Sendable, CaseIterable {
  case up
  /// Up, and its latest probes failed.
  case goingDown = "going_down"
  case down
  /// Down, and its latest probes passed.
  case goingUp = "going_up"
  /// Not checked.
  case unchecked

  static let worstFirst = allCases.sorted { $0.rank < $1.rank }

  /// The worst is 0.
  var rank: Int {
    switch self {
    case .down: 0
    case .goingUp: 1
    case .goingDown: 2
    case .up: 3
    case .unchecked: 4
    }
  }

  /// Whether it counts as healthy.
  public var isHealthy: Bool {
    switch self {
    case .up, .goingDown, .unchecked: true
    case .down, .goingUp: false
    }
  }
}

/// A backend, identified by the names of pool and backend.
public struct BackendKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  public var pool: String
  public var backend: String
  /// The number of a backend that is leaving, because a configured backend of the pool may have its name; `nil`: it is
  /// configured.
  public var leaving: BackendNumber?

  public init(pool: String, backend: String, leaving: BackendNumber? = nil) {
    self.pool = pool
    self.backend = backend
    self.leaving = leaving
  }

  public var description: String { "\(pool)/\(backend)" }

  public static func < (left: BackendKey, right: BackendKey) -> Bool {
    (left.pool, left.backend, left.leaving ?? 0) < (right.pool, right.backend, right.leaving ?? 0)
  }
}
