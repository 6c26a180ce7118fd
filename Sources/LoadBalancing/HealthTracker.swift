// SPDX-License-Identifier: Apache-2.0

/// The state of one target of a check.
public struct TargetRecord: Hashable, Sendable {
  public struct Latest: Hashable, Sendable {
    public var outcome: ProbeOutcome
    public var endedAt: Duration
  }

  public var state: HealthState
  /// When it entered this state.
  public var since: Duration
  /// The number of latest probes in a row that passed, and that failed; one of the two is 0.
  public var passed: Int
  public var failed: Int
  /// `nil`: no probe has ended yet.
  public var latest: Latest?
  /// The end of the hold by damping; `nil` without one. It may be past: the target goes up at the first probe that
  /// passes after it.
  public var heldUntil: Duration?
  /// Since when its probes have failed on the balancer itself; `nil`: the latest did not. The state is frozen
  /// since then.
  public var frozenSince: Duration?
  /// Whether its probes have failed often enough for it to be down, but the cause may be the balancer.
  public var isDoubted: Bool
}

/// What the probes of all targets show about the balancer itself.
///
/// If all probes fail, the balancer may be the cause. A probe that passes proves that the balancer could probe when that
/// probe started.
public struct Corroboration: Sendable {
  /// The time for which no target goes down if no probe of any target passes.
  public static let doubt = Duration.seconds(10)

  /// The latest start of a probe that passed, of any target; `nil`: none did.
  private(set) var latestPass: Duration?
  /// The latest end of a probe that passed; `nil`: none did.
  private var latestPassEnd: Duration?
  /// Since when all probes have failed; `nil`: none has failed since one passed.
  private(set) var failingSince: Duration?
  /// Whether probes of several backends have ended.
  var hasSeveralBackends = false

  /// Adds a probe of any target.
  /// - Parameter now: when the probe ended.
  mutating func add(hasPassed: Bool, begun: Duration, at now: Duration) {
    if hasPassed {
      latestPass = max(latestPass ?? begun, begun)
      latestPassEnd = now
      failingSince = nil
    } else {
      // A probe that fails may have started before the end of one that passed.
      failingSince = failingSince ?? max(begun, latestPassEnd ?? begun)
    }
  }
}

/// Judges one target by its probes.
struct HealthTracker: Sendable {
  /// The shortest time after which local failures make a target's state unknown.
  private static let shortestFreeze = Duration.seconds(10)

  private(set) var record: TargetRecord
  /// When the target was added; probes that began earlier belong to another check.
  let origin: Duration
  /// The start of the first probe of the present run of failures.
  private(set) var firstFailure: Duration?
  /// Whether the target's state is known: from before its first probe, or because enough probes agreed.
  private(set) var isJudged: Bool
  /// The start of a probe of another target that started after ``firstFailure`` and passed: the balancer can probe.
  private var proof: Duration?
  /// The deadline of the decision if the target was doubted and then went down; `nil`: it was not.
  private var deadlineAfterDoubt: Duration?
  private var flaps = FlapHistory()

  /// - Parameter isKnown: whether `startsUp` is certain; `false` if the first verdict is still missing.
  init(startsUp: Bool, isKnown: Bool, at now: Duration) {
    origin = now
    isJudged = isKnown
    record = TargetRecord(state: startsUp ? .up : .down, since: now, passed: 0, failed: 0, isDoubted: false)
  }

  var state: HealthState { record.state }

  /// Judges the target by another probe of it.
  /// - Parameter now: when the probe ended.
  mutating func judge(
    _ outcome: ProbeOutcome, begun: Duration, at now: Duration, _ check: HealthCheck,
    _ corroboration: Corroboration
  ) {
    record.latest = TargetRecord.Latest(outcome: outcome, endedAt: now)
    // A local failure says nothing about the backend.
    if outcome.failure?.layer == .local { return freeze(at: now, check) }
    record.frozenSince = nil
    if outcome.hasPassed { countPass() } else { countFailure(begun, corroboration) }
    if record.passed >= check.rise || record.failed >= check.fall { isJudged = true }
    let next = nextState(begun: begun, at: now, check, corroboration)
    guard next != state else { return }
    if next == .down && state.isHealthy { flaps.addFall(at: now, check.damping) }
    if next == .up { flaps.endHold() }
    record.heldUntil = flaps.heldUntil
    record.state = next
    record.since = now
  }

  /// A state that can no longer be checked becomes unknown. But a backend that was down stays down, because nothing
  /// shows that it is alive.
  private mutating func freeze(at now: Duration, _ check: HealthCheck) {
    let since = record.frozenSince ?? now
    record.frozenSince = since
    guard state == .up || state == .goingDown,
      now - since >= max(check.detection, Self.shortestFreeze)
    else { return }
    (record.passed, record.failed) = (0, 0)
    (firstFailure, proof, record.isDoubted) = (nil, nil, false)
    record.state = .unchecked
    record.since = now
  }

  /// Whether the next probes decide on a change.
  func isChangePending(at now: Duration) -> Bool {
    switch state {
    case .goingDown: true
    case .goingUp: !flaps.isHeld(at: now)
    case .up, .down, .unchecked: false
    }
  }

  /// The latest time for the decision that takes the target out of use: when its verdict would have come if each of the
  /// failed probes had taken its whole timeout.
  func deadline(_ check: HealthCheck) -> Duration? {
    deadlineAfterDoubt ?? firstFailure.map { $0 + check.runLimit(check.fall) }
  }

  private mutating func countPass() {
    record.passed += 1
    record.failed = 0
    (firstFailure, proof, deadlineAfterDoubt) = (nil, nil, nil)
  }

  private mutating func countFailure(_ begun: Duration, _ corroboration: Corroboration) {
    record.failed += 1
    record.passed = 0
    guard firstFailure == nil else { return }
    firstFailure = begun
    // Probes that passed while this one failed. Later ones arrive by ``addProof(_:)``.
    if let pass = corroboration.latestPass { addProof(pass) }
  }

  /// Whether its failures lack a proof that the balancer can probe.
  var needsProof: Bool { firstFailure != nil && proof == nil }

  /// Adds a probe of another target that passed. The first one after ``firstFailure`` counts: a later one may have started
  /// after the target's own latest probe, and then proves nothing about that one.
  mutating func addProof(_ pass: Duration) {
    guard let firstFailure, proof == nil, pass > firstFailure else { return }
    proof = pass
  }

  private mutating func nextState(
    begun: Duration, at now: Duration, _ check: HealthCheck, _ corroboration: Corroboration
  ) -> HealthState {
    let wasDoubted = record.isDoubted
    record.isDoubted = false
    if state.isHealthy {
      guard record.failed >= check.fall else { return record.failed > 0 ? .goingDown : .up }
      record.isDoubted = isDoubtful(begun: begun, at: now, check, corroboration)
      if record.isDoubted { return .goingDown }
      // Other doubted targets go down with their next probes, so one decision covers them all.
      if wasDoubted, !isProven(by: begun) { deadlineAfterDoubt = now + check.interval + check.timeout }
      return .down
    }
    if record.passed >= check.rise && !flaps.isHeld(at: now) { return .up }
    return record.passed > 0 ? .goingUp : .down
  }

  /// Whether the balancer may be the cause of the failures: no probe of any target has passed between the first and the
  /// latest of them. With `fall` 1 there is no doubt.
  private func isDoubtful(
    begun: Duration, at now: Duration, _ check: HealthCheck, _ corroboration: Corroboration
  ) -> Bool {
    guard check.fall > 1, corroboration.hasSeveralBackends, let since = corroboration.failingSince else {
      return false
    }
    return !isProven(by: begun) && now - since < Corroboration.doubt
  }

  /// Whether it is proven that the balancer could probe between the first failure and the probe that started then.
  private func isProven(by begun: Duration) -> Bool { proof.map { $0 <= begun } ?? false }
}
