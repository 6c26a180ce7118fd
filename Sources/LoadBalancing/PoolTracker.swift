// SPDX-License-Identifier: Apache-2.0

/// Decides which backends of a pool are in use, by their health.
struct PoolTracker: Sendable {
  /// The state of a backend that the pool's decision needs.
  struct Member: Sendable {
    var name: String
    var address: IPAddress
    /// Its administrative state.
    var administrative: AdministrativeState
    /// Whether it may get new flows. Only such backends count for floor and guard.
    var counts: Bool
    /// The number of targets in each state.
    var targets = StateTally()
    /// When it last became unhealthy.
    var downSince = Duration.zero
    /// Whether it is in use by the last decision; before the first one, by the installed state.
    var isInUse: Bool
    /// When the latest decision took it out of use because of its health; `nil`: it is in use, or is out for another
    /// reason.
    var leftUse: Duration?
    /// Whether it was in use when the pool last was sufficient.
    var isKept = false
    /// Whether its health was known before the first verdict of its own checks.
    var isKnown: Bool
    /// The number of a backend that is leaving; `nil`: it is configured.
    var leaving: BackendNumber?

    init(_ backend: Backend, isInUse: Bool, isKnown: Bool) {
      name = backend.name
      address = backend.address
      administrative = backend.state
      counts = backend.isCounted
      self.isInUse = isInUse
      self.isKnown = isKnown
    }

    /// A leaving backend does not count, and is in use while it is healthy.
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

    /// Adopts the configured name and administrative state. Its targets must be added again.
    mutating func configure(as backend: Backend) {
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
  /// When the guard releases a backend that it holds; `nil`: it holds none.
  private(set) var nextRelease: Duration?
  /// Whether the pool is undecided because first verdicts are missing.
  private(set) var isAwaited = false
  /// Targets without a first verdict, of backends that count.
  private var unjudged = 0
  /// The latest time of the first decision, even if verdicts are missing.
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

  /// When the pool is decided at the latest although first verdicts are missing; `nil`: it is not awaited.
  var nextVerdict: Duration? { isAwaited ? awaitedUntil : nil }

  /// Sets the missing first verdicts, after all members were added. The pool is awaited until the last one arrives if
  /// nothing depends on it yet: it is new, or none of its backends is known.
  /// - Parameters:
  ///   - isNew: whether the board did not have it.
  ///   - isInstalled: whether the installed state has some of its backends.
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

  /// Counts the first verdict on a target of a member.
  /// - Returns: whether no other is missing.
  mutating func countFirstVerdict(of index: Int) -> Bool {
    guard members[index].counts else { return false }
    unjudged -= 1
    return isAwaited && unjudged == 0
  }

  /// Moves a target of a member to another state.
  /// - Returns: the member's states before and after.
  mutating func move(
    _ index: Int, from: HealthState, to: HealthState, at now: Duration
  ) -> (old: HealthState, new: HealthState) {
    let old = members[index].state
    members[index].targets.move(from: from, to: to)
    let new = members[index].state
    if old.isHealthy && !new.isHealthy { members[index].downSince = now }
    return (old, new)
  }

  /// Decides which members are in use.
  /// - Parameter isDoubted: whether some backends are in use only because the balancer may be the cause of their failures.
  ///   The backends in use then are not those that `keep` returns to.
  /// - Returns: `nil` for a pool that is not configured, or whose first decision is awaited.
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

  /// Call when no target of any pool is doubted any more: if the pool is still sufficient, the backends in use are those
  /// that `keep` returns to.
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

  /// - Parameter wanted: by member, whether health and policy want it in use.
  /// - Returns: the names of members that are not wanted and that the guard keeps in use.
  private mutating func setInUse(_ wanted: [Bool], at now: Duration) -> [String] {
    // A member that recovers allows another one to be removed.
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

  /// The number of members that may be out of use by decisions within the guard's interval.
  private var allowance: Int { (eligible * policy.guard.share + 99) / 100 }

  /// The times, in order, at which members that are still out were removed within the guard's interval.
  private func recentlyLeft(at now: Duration) -> [Duration] {
    members.filter(\.counts).compactMap(\.leftUse).filter { now - $0 < policy.guard.interval }.sorted()
  }

  /// When the guard releases the next member that it holds.
  private func release(at now: Duration) -> Duration {
    // With an interval of zero, no removal lies within it, so all may be removed at once.
    let left = recentlyLeft(at: now)
    return left.dropFirst(max(left.count - allowance, 0)).first.map { $0 + policy.guard.interval } ?? now
  }

  /// The backends in use now are those that the policy `keep` returns to.
  private mutating func keep() {
    wasEverSufficient = true
    for index in members.indices { members[index].isKept = members[index].isInUse }
  }
}

extension Backend {
  /// Whether the operator lets it take new flows.
  fileprivate var isCounted: Bool { state == .ready && weight > 0 }
}

/// The number of a backend's targets in each state.
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
