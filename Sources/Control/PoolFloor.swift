// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

extension Pool {
  /// Backends that take new flows.
  var ready: Int { backends.count(where: \.takesNewFlows) }
  /// The smallest number of them, by `require`.
  var required: Int { require.count(of: backends.count) }
}

/// A pool that a change would leave with fewer backends than it requires.
struct FloorBreach: Equatable, CustomStringConvertible {
  var pool: String
  var required: Int
  var remaining: Int

  var description: String {
    "pool \(pool) requires \(required) backends that take new flows, and \(remaining) would remain"
  }

  /// The pools that have fewer ready backends in `changed` than in `old` and than they require. A required share is of
  /// all backends, the removed one included.
  static func breaches(in changed: DesiredState, since old: DesiredState) -> [FloorBreach] {
    changed.pools.compactMap { pool in
      guard let before = old.pool(named: pool.name) else { return nil }
      let required = pool.require.count(of: max(pool.backends.count, before.backends.count))
      guard pool.ready < required, pool.ready < before.ready else { return nil }
      return FloorBreach(pool: pool.name, required: required, remaining: pool.ready)
    }
  }
}
