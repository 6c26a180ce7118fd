// SPDX-License-Identifier: Apache-2.0

/// What is looked up among installed backends, of which there may be a hundred thousand. A state builds it when it is
/// first asked for, and copies share it as long as their backends stay the same.
public struct BackendIndex: Equatable, Sendable {
  public struct Member: Equatable, Sendable {
    public var number: BackendNumber
    /// ``InstalledState/Backend/pair``.
    public var pair: Int
  }

  /// The backends of each pool by number, those leaving included.
  public private(set) var members: [String: [Member]] = [:]
  public private(set) var leaving: Set<BackendNumber> = []
  /// Draining and leaving backends of all pools. (After an interrupted renaming a table may name backends that belong
  /// to another pool by their name.)
  public private(set) var draining: Set<BackendNumber> = []

  init(_ backends: [BackendNumber: InstalledState.Backend]) {
    for (number, backend) in backends {
      members[backend.pool, default: []].append(Member(number: number, pair: backend.pair))
      if backend.isLeaving { leaving.insert(number) }
      if backend.isDraining { draining.insert(number) }
    }
    for pool in members.keys { members[pool]?.sort { $0.number < $1.number } }
  }
}

extension InstalledState {
  /// The pool's backends by number, those leaving included.
  public func backends(of pool: String) -> [Backend] {
    (index.members[pool] ?? []).compactMap { backends[$0.number] }
  }

  public func backend(named name: String, in pool: String) -> Backend? {
    backends(of: pool).first { $0.name == name && !$0.isLeaving }
  }

  /// The backends with one of these addresses.
  public func backends(at addresses: Set<IPAddress>) -> [Backend] {
    addresses.isEmpty ? [] : backends.values.filter { addresses.contains($0.address) }
  }
}
