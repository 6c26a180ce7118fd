// SPDX-License-Identifier: Apache-2.0

/// Readings of the network. One is under way at most: changes of the network may come faster than it can be read, and
/// what changes during a reading is found by the next one.
struct NetworkReads: Equatable, Sendable {
  /// Which paths to backends a reading covers.
  enum Scope: Sendable {
    /// Those that a tick reads in its turn.
    case due
    case all
  }

  private var isUnderWay = false
  /// Whether the reading under way began before the daemon changed what it reads.
  private var isOutdated = false
  /// What the next reading covers; nil: none is wanted.
  private var wanted: Scope?

  /// - Returns: whether a reading is to begin now. Otherwise one follows the reading under way.
  mutating func request(_ scope: Scope) -> Bool {
    guard isUnderWay else {
      isUnderWay = true
      return true
    }
    if wanted != .all { wanted = scope }
    return false
  }

  /// The daemon attached a program: what is being read may be the state before.
  mutating func outdate() {
    guard isUnderWay else { return }
    isOutdated = true
    wanted = .all
  }

  /// A reading has ended.
  /// - Returns: whether its result counts, and what the next reading, which begins now, covers.
  mutating func end() -> (counts: Bool, next: Scope?) {
    defer { self = NetworkReads(isUnderWay: wanted != nil) }
    return (!isOutdated, wanted)
  }

  init() {}

  private init(isUnderWay: Bool) { self.isUnderWay = isUnderWay }
}
