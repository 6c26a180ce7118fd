// SPDX-License-Identifier: Apache-2.0

/// What differs in a backend that two desired states have.
public struct BackendDifference: Hashable, Sendable {
  public struct Change: Hashable, Sendable {
    /// state, weight or address
    public var what: String
    public var old: String
    public var new: String
  }

  public var pool: String
  public var backend: String
  /// At least one.
  public var changes: [Change]
}

extension DesiredState {
  /// What differs in backends that both states have, by name. Backends that only one of them has are left out.
  public func backendDifferences(since old: DesiredState) -> [BackendDifference] {
    let former = Dictionary(old.pools.map { ($0.name, $0.backends) }, uniquingKeysWith: { first, _ in first })
    let changed = pools.filter { pool in former[pool.name].map { $0 != pool.backends } ?? false }
    return changed.sorted { $0.name < $1.name }.flatMap { pool -> [BackendDifference] in
      let before = Dictionary(
        (former[pool.name] ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      return pool.backends.sorted { $0.name < $1.name }.compactMap { backend in
        guard let changes = before[backend.name].map(backend.changes(since:)), !changes.isEmpty else {
          return nil
        }
        return BackendDifference(pool: pool.name, backend: backend.name, changes: changes)
      }
    }
  }

  /// The same, a line each: `web/b1 state ready -> drain, weight 100 -> 50`.
  public func backendChanges(since old: DesiredState) -> [String] {
    backendDifferences(since: old).map { difference in
      let changes = difference.changes.map { "\($0.what) \($0.old) -> \($0.new)" }
      return "\(difference.pool)/\(difference.backend) \(changes.joined(separator: ", "))"
    }
  }
}

extension DesiredState {
  /// Names of pools of either state whose backends differ.
  public func poolsWithOtherBackends(than old: DesiredState) -> Set<String> {
    let before = Dictionary(old.pools.map { ($0.name, $0.backends) }, uniquingKeysWith: { first, _ in first })
    let names = Set(pools.map(\.name))
    let changed = pools.filter { before[$0.name] != $0.backends }.map(\.name)
    return Set(changed).union(before.keys.filter { !names.contains($0) })
  }
}

extension Backend {
  fileprivate func changes(since old: Backend) -> [BackendDifference.Change] {
    [
      BackendDifference.Change(what: "state", old: old.state.rawValue, new: state.rawValue),
      BackendDifference.Change(what: "weight", old: "\(old.weight)", new: "\(weight)"),
      BackendDifference.Change(what: "address", old: "\(old.address)", new: "\(address)"),
    ].filter { $0.old != $0.new }
  }
}
