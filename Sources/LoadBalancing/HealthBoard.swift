// SPDX-License-Identifier: Apache-2.0

/// All that is checked, and what is known of it: takes outcomes of probes, and says which backends are to be in use.
///
/// A backend is as healthy as the worst of its targets. Instants are durations since any fixed point of one monotonic
/// clock.
public struct HealthBoard: Sendable {
  /// One way to a backend.
  public struct Target: Hashable, Sendable, Comparable {
    public var backend: BackendKey
    /// nil: directly, by its own address.
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

  /// What to probe, and how.
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

  /// Where in `pools` a backend is.
  struct Place: Sendable {
    var pool: Int
    var member: Int
  }

  struct Entry: Sendable {
    var job: Job
    var tracker: HealthTracker
    var backend: Place
    /// When within an interval its first probe is made, 0..<1.
    var phase: Double
  }

  /// What is to be probed.
  public internal(set) var jobs: [Target: Job] = [:]
  var entries: [Entry] = []
  /// Where in `entries` a target is.
  var targets: [Target: Int] = [:]
  var pools: [PoolTracker] = []
  var backends: [BackendKey: Place] = [:]
  var pending = PendingDecision()
  /// What the last decision said.
  var latest = HealthDecision()
  /// When the guard of some pool lets go what it holds.
  var nextRelease: Duration?
  /// When some pool is decided although first verdicts are missing.
  var nextVerdict: Duration?
  var corroboration = Corroboration()
  /// Targets whose failures are doubted.
  var doubted = 0
  /// Of which a probe has ended that did not fail on the balancer.
  var judged: Set<BackendKey> = []

  public init() {}

  /// Takes in what came of a probe. That of a target that is checked no more, or of a backend's former address, is
  /// passed over.
  /// - Parameters:
  ///   - begun: when the probe began.
  ///   - now: when it ended.
  /// - Returns: what it changed of the backend's state.
  public mutating func note(
    _ outcome: ProbeOutcome, of target: Target, begun: Duration, at now: Duration
  ) -> HealthTransition? {
    guard let place = targets[target], begun >= entries[place].tracker.origin else { return nil }
    let before = entries[place].tracker.state
    let wasJudged = entries[place].tracker.isJudged
    let wasDoubted = entries[place].tracker.record.isDoubted
    defer { countDoubt(from: wasDoubted, to: entries[place].tracker.record.isDoubted) }
    take(outcome, of: target.backend, begun: begun, at: now)
    entries[place].tracker.note(outcome, begun: begun, at: now, entries[place].job.check, corroboration)
    let after = entries[place].tracker.state
    if !wasJudged, entries[place].tracker.isJudged { noteFirstVerdict(of: entries[place], at: now) }
    guard before != after else { return nil }
    let (old, new) = move(entries[place], from: before, to: after, at: now)
    guard old != new else { return nil }
    return HealthTransition(
      backend: target.backend, from: old, to: new, reason: outcome.failure?.reason,
      heldUntil: entries[place].tracker.record.heldUntil)
  }

  /// What an outcome says about the balancer.
  private mutating func take(
    _ outcome: ProbeOutcome, of backend: BackendKey, begun: Duration, at now: Duration
  ) {
    guard outcome.failure?.layer != .local else { return }
    // All of them, not the first two: those may be removed while others stay.
    judged.insert(backend)
    corroboration.hasSeveralBackends = judged.count > 1
    corroboration.note(hasPassed: outcome.hasPassed, begun: begun, at: now)
  }

  /// Counts a target whose doubt began or ended.
  private mutating func countDoubt(from wasDoubted: Bool, to isDoubted: Bool) {
    guard wasDoubted != isDoubted else { return }
    doubted += isDoubted ? 1 : -1
    if doubted == 0 { for index in pools.indices { pools[index].endDoubt() } }
  }

  /// A target whose probes say nothing of it.
  public struct Unjudged: Sendable {
    public var target: Target
    public var check: HealthCheck
    public var record: TargetRecord
  }

  /// The targets that the balancer cannot probe, or whose failures may be its own fault.
  public var unjudged: [Unjudged] {
    entries.filter { $0.tracker.record.frozenSince != nil || $0.tracker.record.isDoubted }
      .map { Unjudged(target: $0.job.target, check: $0.job.check, record: $0.tracker.record) }
  }

  /// The worst of its targets' states; unchecked if it has none.
  public func state(of backend: BackendKey) -> HealthState { member(backend)?.state ?? .unchecked }

  /// Targets of a backend, the worst of them first: the one that its state comes from. Those of one state by address.
  public func worstFirst(_ targets: some Sequence<Target>) -> [Target] {
    targets.map { (rank: (record(of: $0)?.state ?? .unchecked).rank, target: $0) }
      .sorted { ($0.rank, $0.target) < ($1.rank, $1.target) }
      .map(\.target)
  }

  /// nil: it is not checked.
  public func record(of target: Target) -> TargetRecord? {
    targets[target].map { entries[$0].tracker.record }
  }

  func member(_ backend: BackendKey) -> PoolTracker.Member? {
    backends[backend].map { pools[$0.pool].members[$0.member] }
  }

  private mutating func noteFirstVerdict(of entry: Entry, at now: Duration) {
    let place = entry.backend
    if pools[place.pool].noteFirstVerdict(of: place.member) { pending.addEntry(at: now, pool: place.pool) }
  }

  /// A target's change as one of its backend.
  private mutating func move(
    _ entry: Entry, from: HealthState, to: HealthState, at now: Duration
  ) -> (old: HealthState, new: HealthState) {
    let place = entry.backend
    let (old, new) = pools[place.pool].move(place.member, from: from, to: to, at: now)
    guard old != new else { return (old, new) }
    if pools[place.pool].members[place.member].counts { pending.count(from: old, to: new) }
    if old.isHealthy && !new.isHealthy {
      pending.addExit(at: now, promise: entry.tracker.promise(entry.job.check) ?? now, pool: place.pool)
    } else if !old.isHealthy && new.isHealthy {
      pending.addEntry(at: now, pool: place.pool)
    }
    return (old, new)
  }
}
