// SPDX-License-Identifier: Apache-2.0

/// All checks and their results. Outcomes of probes go in; decisions which backends are in use come out.
///
/// Two levels of state: an ``Entry`` with a ``HealthTracker`` per target judges probes, a ``PoolTracker`` per pool decides
/// which of its backends are in use. A backend is as healthy as the worst of its targets. Times are durations since a fixed
/// point of a monotonic clock.
public struct HealthBoard: Sendable {
  /// A backend at one VIP, or directly at its own address.
  public struct Target: Hashable, Sendable, Comparable {
    public var backend: BackendKey
    /// `nil`: directly, at its own address.
    public var vip: IPAddress?

    public init(backend: BackendKey, vip: IPAddress? = nil) {
      self.backend = backend
      self.vip = vip
    }

    public static func < (left: Target, right: Target) -> Bool {
      if left.backend != right.backend { return left.backend < right.backend }
      guard let vip = right.vip else { return false }
      return left.vip.map { $0 < vip } ?? true
    }
  }

  /// A target with its check.
  public struct Job: Hashable, Sendable {
    public var target: Target
    public var check: HealthCheck
    /// The VIP, or the backend's own address.
    public var destination: IPAddress
    /// Host order; 0 for ICMP.
    public var port: UInt16
    /// The backend's own.
    public var address: IPAddress
  }

  /// The position of a backend in `pools`.
  struct Position: Sendable {
    var pool: Int
    var member: Int
  }

  struct Entry: Sendable {
    var job: Job
    var tracker: HealthTracker
    var backend: Position
    /// The offset of its first probe within an interval, 0..<1.
    var phase: Double
  }

  /// The targets to probe.
  public internal(set) var jobs: [Target: Job] = [:]
  var entries: [Entry] = []
  /// The index of a target in `entries`.
  var targets: [Target: Int] = [:]
  var pools: [PoolTracker] = []
  var backends: [BackendKey: Position] = [:]
  var pending = PendingDecision()
  /// The last decision.
  var latest = HealthDecision()
  /// When a pool's guard releases a backend that it holds.
  var nextRelease: Duration?
  /// When a pool is decided although first verdicts are missing.
  var nextVerdict: Duration?
  var corroboration = Corroboration()
  /// The number of targets whose failures may be the balancer's.
  var doubted = 0
  /// The indices of targets that need a proof that the balancer can probe.
  var unproven: Set<Int> = []
  /// The backends with a probe that ended and did not fail on the balancer.
  var judged: Set<BackendKey> = []

  public init() {}

  /// Adds the outcome of a probe. Outcomes of targets that are no longer checked, or of a backend's former address, are
  /// ignored.
  /// - Parameters:
  ///   - begun: the start of the probe.
  ///   - now: the end of the probe.
  /// - Returns: the change of the backend's state, if there is one.
  public mutating func add(
    _ outcome: ProbeOutcome, of target: Target, begun: Duration, at now: Duration
  ) -> HealthTransition? {
    guard let index = targets[target], begun >= entries[index].tracker.origin else { return nil }
    let before = entries[index].tracker
    corroborate(outcome, of: target.backend, begun: begun, at: now)
    entries[index].tracker.judge(outcome, begun: begun, at: now, entries[index].job.check, corroboration)
    let after = entries[index].tracker
    if after.needsProof { unproven.insert(index) } else { unproven.remove(index) }
    defer { countDoubt(from: before.record.isDoubted, to: after.record.isDoubted) }
    if !before.isJudged, after.isJudged { countFirstVerdict(of: entries[index], at: now) }
    guard before.state != after.state else { return nil }
    let (old, new) = move(entries[index], from: before.state, to: after.state, at: now)
    guard old != new else { return nil }
    return HealthTransition(
      backend: target.backend, from: old, to: new, reason: outcome.failure?.reason,
      heldUntil: after.record.heldUntil)
  }

  /// Updates what is known of the balancer itself.
  private mutating func corroborate(
    _ outcome: ProbeOutcome, of backend: BackendKey, begun: Duration, at now: Duration
  ) {
    guard outcome.failure?.layer != .local else { return }
    // All backends, not only the first two, because those may be removed.
    judged.insert(backend)
    corroboration.hasSeveralBackends = judged.count > 1
    corroboration.add(hasPassed: outcome.hasPassed, begun: begun, at: now)
    guard outcome.hasPassed else { return }
    for index in unproven {
      entries[index].tracker.addProof(begun)
      if !entries[index].tracker.needsProof { unproven.remove(index) }
    }
  }

  /// Updates the number of doubted targets.
  private mutating func countDoubt(from wasDoubted: Bool, to isDoubted: Bool) {
    guard wasDoubted != isDoubted else { return }
    doubted += isDoubted ? 1 : -1
    if doubted == 0 { for index in pools.indices { pools[index].endDoubt() } }
  }

  /// A target whose probes say nothing about its backend.
  public struct Unjudged: Sendable {
    public var target: Target
    public var check: HealthCheck
    public var record: TargetRecord
  }

  /// Whether ``unjudged`` has entries.
  public var hasUnjudged: Bool {
    entries.contains { $0.tracker.record.frozenSince != nil || $0.tracker.record.isDoubted }
  }

  /// The targets that the balancer cannot probe, or whose failures may be the balancer's.
  public var unjudged: [Unjudged] {
    entries.filter { $0.tracker.record.frozenSince != nil || $0.tracker.record.isDoubted }
      .map { Unjudged(target: $0.job.target, check: $0.job.check, record: $0.tracker.record) }
  }

  /// The worst state of its targets; `unchecked` without targets.
  public func state(of backend: BackendKey) -> HealthState { member(backend)?.state ?? .unchecked }

  /// The targets of a backend, the worst first, which determines its state; equal states are ordered by address.
  public func worstFirst(_ targets: some Sequence<Target>) -> [Target] {
    targets.map { (rank: (record(of: $0)?.state ?? .unchecked).rank, target: $0) }
      .sorted { ($0.rank, $0.target) < ($1.rank, $1.target) }
      .map(\.target)
  }

  /// `nil`: it is not checked.
  public func record(of target: Target) -> TargetRecord? {
    targets[target].map { entries[$0].tracker.record }
  }

  func member(_ backend: BackendKey) -> PoolTracker.Member? {
    backends[backend].map { pools[$0.pool].members[$0.member] }
  }

  private mutating func countFirstVerdict(of entry: Entry, at now: Duration) {
    let (pool, member) = (entry.backend.pool, entry.backend.member)
    if pools[pool].countFirstVerdict(of: member) { pending.addEntry(at: now, pool: pool) }
  }

  /// The change of a backend that a target's change causes.
  private mutating func move(
    _ entry: Entry, from: HealthState, to: HealthState, at now: Duration
  ) -> (old: HealthState, new: HealthState) {
    let (pool, member) = (entry.backend.pool, entry.backend.member)
    let (old, new) = pools[pool].move(member, from: from, to: to, at: now)
    guard old != new else { return (old, new) }
    if pools[pool].members[member].counts { pending.count(from: old, to: new) }
    if old.isHealthy && !new.isHealthy {
      pending.addExit(at: now, deadline: entry.tracker.deadline(entry.job.check) ?? now, pool: pool)
    } else if !old.isHealthy && new.isHealthy {
      pending.addEntry(at: now, pool: pool)
    }
    return (old, new)
  }
}
