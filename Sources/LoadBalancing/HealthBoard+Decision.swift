// SPDX-License-Identifier: Apache-2.0

/// What has changed since the last decision, and how long the next one may wait, so that many changes make one plan.
struct PendingDecision: Sendable {
  /// So long a backend that recovered waits for others that are about to.
  static let longestEntryWait = Duration.milliseconds(100)

  /// Pools of which something changed.
  private(set) var pools: Set<Int> = []
  /// Backends about to go down or up: their verdicts are worth waiting for.
  private var goingDown = 0
  private var goingUp = 0
  /// The first change, and the earliest end of a wait.
  private var exits: (first: Duration, deadline: Duration)?
  private var entries: (first: Duration, deadline: Duration)?
  private var configured: Duration?

  /// When the decision is due; nil: nothing has changed.
  var due: Duration? {
    let exit = exits.map { goingDown == 0 ? $0.first : $0.deadline }
    let entry = entries.map { goingUp == 0 ? $0.first : $0.deadline }
    return [configured, exit, entry].compactMap(\.self).min()
  }

  /// Whether nothing of the last decision can be relied on.
  var isReset: Bool { configured != nil }

  mutating func count(from old: HealthState, to new: HealthState) {
    goingDown += (new == .goingDown ? 1 : 0) - (old == .goingDown ? 1 : 0)
    goingUp += (new == .goingUp ? 1 : 0) - (old == .goingUp ? 1 : 0)
  }

  mutating func addExit(at now: Duration, promise: Duration, pool: Int) {
    pools.insert(pool)
    exits = (min(exits?.first ?? now, now), min(exits?.deadline ?? promise, promise))
  }

  mutating func addEntry(at now: Duration, pool: Int) {
    pools.insert(pool)
    entries = entries ?? (now, now + Self.longestEntryWait)
  }

  /// All is new, and cannot wait.
  mutating func reset(_ all: [PoolTracker], at now: Duration) {
    self = PendingDecision()
    pools = Set(all.indices)
    configured = now
    for member in all.flatMap(\.members) where member.counts { count(from: .unchecked, to: member.state) }
  }

  /// All is decided.
  mutating func clear() {
    pools = []
    exits = nil
    entries = nil
    configured = nil
  }
}

extension HealthBoard {
  /// When to ask ``decide(at:)`` again though nothing is noted; nil: never. It may be past.
  public var nextDecision: Duration? { [pending.due, nextRelease, nextVerdict].compactMap(\.self).min() }

  /// What is to be in use, as soon as that differs from what the last decision said.
  ///
  /// One decision is to answer for as many changes as can be: where backends went out of use and others are about to,
  /// it waits for those, but not longer than the promise that each of the former has from its configuration: its first
  /// failed probe's beginning + (fall − 1) × interval + timeout. A backend that recovered waits 100 ms at most.
  /// - Returns: nil where nothing changed, or what did is to wait.
  public mutating func decide(at now: Duration) -> HealthDecision? {
    guard let due = nextDecision, due <= now else { return nil }
    var next = pending.isReset ? HealthDecision() : latest
    for index in pools.indices where pending.pools.contains(index) || pools[index].isDue(at: now) {
      let health = pools[index].decide(at: now, isDoubted: doubted > 0)
      let name = pools[index].name
      if !pools[index].isGone { next.pools[name] = health }
      if pools[index].isAwaited { next.awaited.insert(name) } else { next.awaited.remove(name) }
      for member in pools[index].members {
        next.isInUse[BackendKey(pool: name, backend: member.name, leaving: member.leaving)] = member.isInUse
      }
    }
    pending.clear()
    nextRelease = pools.compactMap(\.nextRelease).min()
    nextVerdict = pools.compactMap(\.nextVerdict).min()
    guard next != latest else { return nil }
    latest = next
    return next
  }
}

extension PoolTracker {
  /// Whether time alone changes its decision.
  fileprivate func isDue(at now: Duration) -> Bool {
    [nextRelease, nextVerdict].contains { $0.map { $0 <= now } ?? false }
  }
}
