// SPDX-License-Identifier: Apache-2.0

/// Judges one pool by the health of its backends: which of them are to be in use.
struct PoolTracker: Sendable {
  /// A backend, as far as its pool's judgement needs it.
  struct Member: Sendable {
    var name: String
    var address: IPAddress
    /// What the operator wants of it.
    var administrative: AdministrativeState
    /// Whether the operator lets it take new flows: only such backends count for floor and guard.
    var counts: Bool
    /// Targets per state.
    var targets = StateTally()
    /// When it last became unhealthy.
    var downSince = Duration.zero
    /// As the last decision says; before the first one, as the installed state shows.
    var isInUse: Bool
    /// When the latest decision took it out of use by its health; nil: it is in use, or nobody took it out.
    var leftUse: Duration?
    /// Whether it was in use when the pool last was sufficient.
    var isKept = false
    /// Whether its health was known before the first verdict of its own checks.
    var isKnown: Bool
    /// The number of a backend that is leaving; nil: it is configured.
    var leaving: BackendNumber?

    init(_ backend: Backend, isInUse: Bool, isKnown: Bool) {
      name = backend.name
      address = backend.address
      administrative = backend.state
      counts = backend.isCounted
      self.isInUse = isInUse
      self.isKnown = isKnown
    }

    /// A backend that is leaving counts for nothing, and is in use while it is healthy.
    init(_ backend: HealthBoard.Remainder.Leaving) {
      name = backend.name
      address = backend.address
      administrative = .drain
      counts = false
      isInUse = backend.isUsable
      isKnown = true
      leaving = backend.number
    }

    var state: HealthState { targets.worst }

    mutating func comeIntoUse() {
      isInUse = true
      leftUse = nil
    }

    mutating func leaveUse(at now: Duration) {
      isInUse = false
      leftUse = counts ? now : nil
    }

    /// Takes over what the operator wants; its targets are to be added anew.
    mutating func follow(_ backend: Backend) {
      name = backend.name
      administrative = backend.state
      counts = backend.isCounted
      targets = StateTally()
    }
  }

  var name: String
  var policy: HealthPolicy
  var require: Requirement
  var members: [Member] = []
  private(set) var isSufficient = true
  private var wasEverSufficient = false
  /// When the guard lets go some that it holds; nil: it holds none.
  private(set) var nextRelease: Duration?
  /// Whether nothing is decided yet, since the backends have no first verdicts.
  private(set) var isAwaited = false
  /// Targets without a first verdict, of backends that count.
  private var unjudged = 0
  /// When the pool is decided at the latest, whatever has no verdict.
  private var awaitedUntil = Duration.zero
  /// The last decision.
  private var latest: PoolHealth?
  /// Whether the pool is not configured any more, and all its backends are leaving.
  let isGone: Bool

  init(_ pool: Pool) {
    name = pool.name
    policy = pool.health
    require = pool.require
    isGone = false
  }

  /// A pool that is not configured any more.
  init(gone name: String) {
    self.name = name
    policy = HealthPolicy()
    require = .backends(0)
    isGone = true
  }

  /// This tracker for a pool as it is configured now, without members. The pool may have got another name.
  func emptied(for pool: Pool) -> PoolTracker {
    var tracker = self
    tracker.name = pool.name
    tracker.policy = pool.health
    tracker.require = pool.require
    tracker.members = []
    return tracker
  }

  // MARK: First verdicts

  /// When the pool is decided at the latest although first verdicts are missing; nil: none is awaited.
  var nextVerdict: Duration? { isAwaited ? awaitedUntil : nil }

  /// Says which first verdicts are missing, once all members are there.
  ///
  /// A pool is decided when the last one is in. Until then no service relies on it: it is new, or it has no backend left
  /// of which something is known.
  /// - Parameters:
  ///   - isNew: whether the board did not have it.
  ///   - unjudged: the time at which each missing verdict is due at the latest, of backends that count.
  mutating func await(_ unjudged: [Duration], isNew: Bool, isInstalled: Bool) {
    self.unjudged = unjudged.count
    awaitedUntil = unjudged.max() ?? .zero
    if isNew {
      isAwaited = !isInstalled
    } else if !isAwaited {
      isAwaited = !members.contains { $0.counts && $0.isKnown }
    }
    if unjudged.isEmpty { isAwaited = false }
  }

  /// Notes that a target of a member has its first verdict.
  /// - Returns: whether that was the last one.
  mutating func noteFirstVerdict(of index: Int) -> Bool {
    guard members[index].counts else { return false }
    unjudged -= 1
    return isAwaited && unjudged == 0
  }

  /// A change of a member's target as one of the member.
  mutating func move(
    _ index: Int, from: HealthState, to: HealthState, at now: Duration
  ) -> (old: HealthState, new: HealthState) {
    let old = members[index].state
    members[index].targets.move(from: from, to: to)
    let new = members[index].state
    if old.isHealthy && !new.isHealthy { members[index].downSince = now }
    return (old, new)
  }

  /// Decides who is in use from now on.
  /// - Parameter isDoubted: whether some backends are in use only since their failures may be the balancer's. What is
  ///   in use then is no state that `keep` may return to.
  /// - Returns: nil for a pool that is not configured, or whose first decision is awaited.
  mutating func decide(at now: Duration, isDoubted: Bool) -> PoolHealth? {
    if isAwaited, unjudged > 0, now < awaitedUntil {
      _ = setInUse(members.map { $0.isKnown && $0.state.isHealthy }, at: now)
      return latest
    }
    if isAwaited {
      isAwaited = false
      for index in members.indices { members[index].isKnown = true }
    }
    latest = isGone ? decideGone(at: now) : decideConfigured(at: now, isDoubted: isDoubted)
    return latest
  }

  private mutating func decideGone(at now: Duration) -> PoolHealth? {
    _ = setInUse(members.map(\.state.isHealthy), at: now)
    return nil
  }

  private mutating func decideConfigured(at now: Duration, isDoubted: Bool) -> PoolHealth {
    let healthy = healthy
    isSufficient = healthy >= needed
    let held = setInUse(members.indices.map { isWanted(members[$0]) }, at: now)
    if isSufficient, !isDoubted { keep() }
    return PoolHealth(
      isSufficient: isSufficient, healthy: healthy, required: required,
      policy: isSufficient ? nil : policy.onInsufficient, heldByGuard: held)
  }

  /// Notes that no target of any pool is doubted any more: if the pool is still sufficient, what is in use is a state
  /// that `keep` may return to.
  mutating func endDoubt() {
    guard !isAwaited, latest?.isSufficient == true, healthy >= required else { return }
    keep()
  }

  private var healthy: Int { members.count { $0.counts && $0.state.isHealthy } }
  private var eligible: Int { members.count(where: \.counts) }
  private var required: Int { max(require.count(of: members.count { $0.leaving == nil }), 1) }

  /// Healthy backends needed to stay or become sufficient. The hysteresis never asks for more than there are to get.
  private var needed: Int {
    isSufficient ? required : max(required, min(required + policy.hysteresis, eligible))
  }

  private func isWanted(_ member: Member) -> Bool {
    if isSufficient || member.administrative != .ready { return member.state.isHealthy }
    return switch policy.onInsufficient {
    case .withdraw: member.state.isHealthy
    case .keep: member.isKept || !wasEverSufficient || member.state.isHealthy
    case .all: true
    }
  }

  /// - Returns: the members that the guard keeps in use against what is wanted.
  private mutating func setInUse(_ wanted: [Bool], at now: Duration) -> [String] {
    // Who comes back makes room for others to leave.
    for index in members.indices where wanted[index] { members[index].comeIntoUse() }
    let leaving = members.indices.filter { members[$0].counts && members[$0].isInUse && !wanted[$0] }
      .sorted { (members[$0].downSince, members[$0].name) < (members[$1].downSince, members[$1].name) }
    let held = Set(leaving.dropFirst(max(allowance - recentlyLeft(at: now).count, 0)))
    for index in members.indices where members[index].isInUse && !wanted[index] && !held.contains(index) {
      members[index].leaveUse(at: now)
    }
    nextRelease = held.isEmpty ? nil : release(at: now)
    return held.map { members[$0].name }.sorted()
  }

  /// So many may have been taken out of use within the guard's interval.
  private var allowance: Int { (eligible * policy.guard.share + 99) / 100 }

  /// When those left that are still out and left within the guard's interval, in order.
  private func recentlyLeft(at now: Duration) -> [Duration] {
    members.filter(\.counts).compactMap(\.leftUse).filter { now - $0 < policy.guard.interval }.sorted()
  }

  private func release(at now: Duration) -> Duration {
    // With an interval of nothing none has left within it: then the rest may go at once.
    let left = recentlyLeft(at: now)
    return left.dropFirst(max(left.count - allowance, 0)).first.map { $0 + policy.guard.interval } ?? now
  }

  private mutating func keep() {
    wasEverSufficient = true
    for index in members.indices { members[index].isKept = members[index].isInUse }
  }
}

extension Backend {
  /// Whether the operator lets it take new flows.
  fileprivate var isCounted: Bool { state == .ready && weight > 0 }
}

/// How many targets of a backend are in which state.
struct StateTally: Sendable {
  /// By rank.
  private var counts = InlineArray<5, Int>(repeating: 0)

  var isEmpty: Bool { HealthState.allCases.allSatisfy { counts[$0.rank] == 0 } }

  /// The state of a backend with these targets.
  var worst: HealthState { HealthState.worstFirst.first { counts[$0.rank] > 0 } ?? .unchecked }

  mutating func add(_ state: HealthState, _ count: Int = 1) { counts[state.rank] += count }

  mutating func move(from: HealthState, to: HealthState) {
    add(from, -1)
    add(to)
  }
}
