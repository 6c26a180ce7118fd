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
}

/// Judges one target by its probes.
struct HealthTracker: Sendable {
  private(set) var record: TargetRecord
  /// When it was first known; probes that began earlier asked something else.
  let origin: Duration
  /// When the first of the failures in a row began.
  private(set) var firstFailure: Duration?
  /// Whether it is known what the target is: from before its first probe, or because enough probes agreed.
  private(set) var isJudged: Bool
  private var flaps = FlapHistory()

  /// - Parameter isKnown: whether `startsUp` is knowledge: false where the first verdict is still to come.
  init(startsUp: Bool, isKnown: Bool, at now: Duration) {
    origin = now
    isJudged = isKnown
    record = TargetRecord(state: startsUp ? .up : .down, since: now, passed: 0, failed: 0)
  }

  var state: HealthState { record.state }

  mutating func note(_ outcome: ProbeOutcome, begun: Duration, at now: Duration, _ check: HealthCheck) {
    record.latest = TargetRecord.Latest(outcome: outcome, endedAt: now)
    // What fails on the balancer itself says nothing about a backend.
    if outcome.failure?.layer == .local { return }
    if outcome.hasPassed { countPass() } else { countFailure(begun) }
    if record.passed >= check.rise || record.failed >= check.fall { isJudged = true }
    let next = nextState(at: now, check)
    guard next != state else { return }
    if next == .down && state.isHealthy { flaps.fall(at: now, check.damping) }
    if next == .up { flaps.recover() }
    record.heldUntil = flaps.heldUntil
    record.state = next
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
    firstFailure.map { $0 + check.interval * (check.fall - 1) + check.timeout }
  }

  private mutating func countPass() {
    record.passed += 1
    record.failed = 0
    firstFailure = nil
  }

  private mutating func countFailure(_ begun: Duration) {
    record.failed += 1
    record.passed = 0
    firstFailure = firstFailure ?? begun
  }

  private func nextState(at now: Duration, _ check: HealthCheck) -> HealthState {
    if state.isHealthy { return record.failed >= check.fall ? .down : record.failed > 0 ? .goingDown : .up }
    if record.passed >= check.rise && !flaps.isHeld(at: now) { return .up }
    return record.passed > 0 ? .goingUp : .down
  }
}
