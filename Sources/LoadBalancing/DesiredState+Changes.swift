// SPDX-License-Identifier: Apache-2.0

extension DesiredState {
  /// What differs in backends that both states have, a line each: `web/b1 state ready -> drain, weight 100 -> 50`.
  /// Backends that only one of them has are not told.
  public func backendChanges(since old: DesiredState) -> [String] {
    pools.sorted { $0.name < $1.name }.flatMap { pool in
      pool.backends.sorted { $0.name < $1.name }.compactMap { backend in
        guard let before = old.pool(named: pool.name)?.backend(named: backend.name) else { return nil }
        var changes: [String] = []
        if before.state != backend.state {
          changes.append("state \(before.state.rawValue) -> \(backend.state.rawValue)")
        }
        if before.weight != backend.weight { changes.append("weight \(before.weight) -> \(backend.weight)") }
        if before.address != backend.address {
          changes.append("address \(before.address) -> \(backend.address)")
        }
        return changes.isEmpty ? nil : "\(pool.name)/\(backend.name) \(changes.joined(separator: ", "))"
      }
    }
  }
}
