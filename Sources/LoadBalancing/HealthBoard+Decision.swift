// SPDX-License-Identifier: Apache-2.0

/// The changes since the last decision, and how long the next one may wait so that many changes make one plan.
struct PendingDecision: Sendable {
  /// The time for which a backend that recovered waits for others that are about to recover.
  static let longestEntryWait = Duration.milliseconds(100)

  /// Pools with changes.
  private(set) var pools: Set<Int> = []
  /// Backends in `going_down` or `going_up`, whose verdicts are worth waiting for.
  private var goingDown = 0
  private var goingUp = 0
  /// Of backends that went down and that are up again: the first change, and the end of the wait for others.
  private var exits: (first: Duration, deadline: Duration)?
  private var entries: (first: Duration, deadline: Duration)?
  /// When the configuration changed.
  private var configured: Duration?

  /// When the decision is due; nil: nothing has changed.
  var due: Duration? {
    let exit = exits.map { goingDown == 0 ? $0.first : $0.deadline }
    let entry = entries.map { goingUp == 0 ? $0.first : $0.deadline }
    return [configured, exit, entry].compactMap(\.self).min()
  }

  /// Whether the last decision is void as a whole.
  var isReset: Bool { configured != nil }

  mutating func count(from old: HealthState, to new: HealthState) {
    goingDown += (new == .goingDown ? 1 : 0) - (old == .goingDown ? 1 : 0)
    goingUp += (new == .goingUp ? 1 : 0) - (old == .goingUp ? 1 : 0)
  }

  /// A backend went down.
  /// - Parameter deadline: when it must be out of use.
  mutating func addExit(at now: Duration, deadline: Duration, pool: Int) {
    pools.insert(pool)
    exits = (min(exits?.first ?? now, now), min(exits?.deadline ?? deadline, deadline))
  }

  /// A backend is up again.
  mutating func addEntry(at now: Duration, pool: Int) {
    pools.insert(pool)
    entries = entries ?? (now, now + Self.longestEntryWait)
  }

  /// All pools are to be decided at once.
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
  /// When to call ``decide(at:)`` again even without a new outcome; `nil`: never. The time may be past.
  public var nextDecision: Duration? { [pending.due, nextRelease, nextVerdict].compactMap(\.self).min() }

  /// Decides which backends are in use, if that differs from the last decision.
  ///
  /// One decision should cover many changes. If backends are down and others are about to go down, it waits for those,
  /// but at most until the deadline of each backend that is down (``HealthTracker/deadline(_:)``). A backend that recovered
  /// waits at most 100 ms.
  /// - Returns: `nil` if nothing changed, or the changes still wait.
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
