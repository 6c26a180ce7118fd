// SPDX-License-Identifier: Apache-2.0

/// What is known of one target of a check.
public struct TargetRecord: Hashable, Sendable {
  public struct Latest: Hashable, Sendable {
    public var outcome: ProbeOutcome
    public var endedAt: Duration
  }

  public var state: HealthState
  /// When it came into this state.
  public var since: Duration
  /// Probes that passed or failed in a row, up to the latest; one of the two is 0.
  public var passed: Int
  public var failed: Int
  /// nil: no probe has ended yet.
  public var latest: Latest?
  /// Until when flapping keeps it down, whatever its probes say; nil where nothing does. May be past: it goes up at
  /// the first probe that passes from then on.
  public var heldUntil: Duration?
  /// Since when its probes have failed on the balancer itself; nil: the latest did not. Its state is as it was then.
  public var frozenSince: Duration?
  /// Whether its probes have failed as often as it takes to be down, and nothing shows that the fault is not the
  /// balancer's.
  public var isDoubted: Bool
}

/// What the probes of all targets say about the balancer itself.
public struct Corroboration: Sendable {
  /// So long no target goes down while no probe of any target passes: the fault may be the balancer's.
  public static let doubt = Duration.seconds(10)

  /// When the latest probe began that has passed, of any target; nil: none has.
  private(set) var lastPass: Duration?
  /// When the latest probe that has passed ended, of any target; nil: none has.
  private var passedAt: Duration?
  /// Since when probes have failed and none has passed, of any target; nil: none has failed since one passed.
  private(set) var failingSince: Duration?
  /// Whether probes of several backends have ended.
  var hasSeveralBackends = false

  /// - Parameter now: when the probe ended.
  mutating func note(hasPassed: Bool, begun: Duration, at now: Duration) {
    if hasPassed {
      lastPass = max(lastPass ?? begun, begun)
      passedAt = now
      failingSince = nil
    } else {
      // A probe that fails may have begun before the end of one that passed.
      failingSince = failingSince ?? max(begun, passedAt ?? begun)
    }
  }
}

/// Judges one target by its probes.
struct HealthTracker: Sendable {
  /// So long at least its probes must fail on the balancer before what was known of a target is given up.
  private static let shortestFreeze = Duration.seconds(10)

  private(set) var record: TargetRecord
  /// When it was first known; probes that began earlier asked something else.
  let origin: Duration
  /// When the first of the failures in a row began.
  private(set) var firstFailure: Duration?
  /// Whether it is known what the target is: from before its first probe, or because enough probes agreed.
  private(set) var isJudged: Bool
  /// The begin of a probe of another target that began after ``firstFailure`` and passed: the balancer can probe.
  private var proof: Duration?
  /// Until when the consequence of a doubt that is over may wait; nil: there was none.
  private var postponement: Duration?
  private var flaps = FlapHistory()

  /// - Parameter isKnown: whether `startsUp` is knowledge: false where the first verdict is still to come.
  init(startsUp: Bool, isKnown: Bool, at now: Duration) {
    origin = now
    isJudged = isKnown
    record = TargetRecord(state: startsUp ? .up : .down, since: now, passed: 0, failed: 0, isDoubted: false)
  }

  var state: HealthState { record.state }

  mutating func note(
    _ outcome: ProbeOutcome, begun: Duration, at now: Duration, _ check: HealthCheck,
    _ corroboration: Corroboration
  ) {
    record.latest = TargetRecord.Latest(outcome: outcome, endedAt: now)
    // What fails on the balancer itself says nothing about a backend.
    if outcome.failure?.layer == .local { return freeze(at: now, check) }
    record.frozenSince = nil
    if outcome.hasPassed { countPass() } else { countFailure(begun, corroboration) }
    if record.passed >= check.rise || record.failed >= check.fall { isJudged = true }
    let next = nextState(begun: begun, at: now, check, corroboration)
    guard next != state else { return }
    if next == .down && state.isHealthy { flaps.fall(at: now, check.damping) }
    if next == .up { flaps.recover() }
    record.heldUntil = flaps.heldUntil
    record.state = next
    record.since = now
  }

  /// A state that cannot be checked any more is not known any more. But a backend that was down stays down: nothing
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

  /// At the latest so long after the first failure its consequence is to be planned: as if every probe in between had
  /// taken all the time that it may.
  func promise(_ check: HealthCheck) -> Duration? {
    postponement ?? firstFailure.map { $0 + check.interval * (check.fall - 1) + check.timeout }
  }

  private mutating func countPass() {
    record.passed += 1
    record.failed = 0
    (firstFailure, proof, postponement) = (nil, nil, nil)
  }

  private mutating func countFailure(_ begun: Duration, _ corroboration: Corroboration) {
    record.failed += 1
    record.passed = 0
    let first = firstFailure ?? begun
    firstFailure = first
    if proof == nil, let pass = corroboration.lastPass, pass > first { proof = pass }
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
      // Others that were doubted go down with their next probes: one decision is to answer for all.
      if wasDoubted, !isProven(by: begun) { postponement = now + check.interval + check.timeout }
      return .down
    }
    if record.passed >= check.rise && !flaps.isHeld(at: now) { return .up }
    return record.passed > 0 ? .goingUp : .down
  }

  /// Whether the failures may be the balancer's fault: no probe of any target has passed since the first of them, and
  /// before the latest. With `fall` 1 there is nothing to wait for.
  private func isDoubtful(
    begun: Duration, at now: Duration, _ check: HealthCheck, _ corroboration: Corroboration
  ) -> Bool {
    guard check.fall > 1, corroboration.hasSeveralBackends, let since = corroboration.failingSince else {
      return false
    }
    return !isProven(by: begun) && now - since < Corroboration.doubt
  }

  /// Whether the balancer has shown, between the first failure and the probe that began then, that it can probe.
  private func isProven(by begun: Duration) -> Bool { proof.map { $0 <= begun } ?? false }
}
