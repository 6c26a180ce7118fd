// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Probing
internal import Synchronization

/// Runs the checks: schedules probes as the board says, adds their outcomes to it, and reports its decisions.
///
/// Probes run and end on the prober's thread, in steps that do not wait. The control plane's thread changes what is
/// checked.
final class HealthChecks: Sendable {
  /// Where the probes of a backend go.
  struct ProbePath: Hashable, Sendable {
    var number: BackendNumber
    /// The largest packet that fits into the tunnel.
    var innerMTU: Int
    var isEncapsulated = true
    /// Why nothing can be sent there; nil: it can.
    var trouble: ProbeOutcome.Failure?
    /// By the VIP's family, as in ``Probe/Tunnel``.
    var sources: [AddressFamily: IPAddress] = [:]
    var standIns: [AddressFamily: IPAddress] = [:]
    var isBackendSilent = false

    /// How probes to a VIP get there.
    func tunnel(to vip: IPAddress) -> Probe.Tunnel {
      Probe.Tunnel(
        backend: number, mtu: innerMTU, source: sources[vip.family], standIn: standIns[vip.family],
        isBackendSilent: isBackendSilent, isEncapsulated: isEncapsulated)
    }
  }

  /// The probes of a target, one after the other.
  struct Loop {
    /// A loop ends when this number is no longer its own.
    var number: Int
    var job: HealthBoard.Job
  }

  struct State {
    var board = HealthBoard()
    var loops: [HealthBoard.Target: Loop] = [:]
    var loopsBegun = 0
    var paths: [BackendKey: ProbePath] = [:]
    /// Where tunnelled probes leave; nil: they cannot.
    var interfaceIndex: UInt32?
    /// Why no probe can leave this host; nil: they can.
    var hostTrouble: String?
    /// The latest instant at which ``hostTrouble`` was known to be.
    var troubledUntil: Duration?
    /// What is to be in use as of the latest decision.
    var decision = HealthDecision()
    var counts = CheckCounts()
    /// When the board decides next.
    var wake: Duration?
    var random = SystemRandomNumberGenerator()
  }

  /// How long a decision waits, so that what many probes find in the same moment is one decision.
  private static let batching = Duration.milliseconds(10)

  let prober: Prober
  private let decided: @Sendable (HealthDecision) -> Void
  private let changed: @Sendable (HealthTransition) -> Void
  let state = Mutex(State())

  /// - Parameters:
  ///   - decided: gets every new ``decision`` that ``check(_:beside:known:)`` did not return, on the prober's thread.
  ///   - changed: gets every change of a backend's health, on the prober's thread.
  init(
    prober: Prober, decided: @escaping @Sendable (HealthDecision) -> Void = { _ in },
    changed: @escaping @Sendable (HealthTransition) -> Void
  ) {
    self.prober = prober
    self.decided = decided
    self.changed = changed
  }

  /// What is to be in use now.
  var decision: HealthDecision { state.withLock { $0.decision } }

  /// Checks what `desired` says from now on.
  /// - Parameters:
  ///   - remainder: what is installed and not desired any more.
  ///   - known: whether packets may go to a backend so far; nil: it is new.
  /// - Returns: what is to be in use.
  func check(
    _ desired: DesiredState, beside remainder: HealthBoard.Remainder = HealthBoard.Remainder(),
    known: (BackendKey, IPAddress) -> Bool?
  ) -> HealthDecision {
    let now = ProbeClock.now
    let (begun, decision) = state.withLock { state in
      state.board.configure(desired, beside: remainder, at: now, known: known)
      state.counts.follow(state.board.jobs.values)
      _ = state.decide(at: now)
      return (state.replaceLoops(at: now), state.decision)
    }
    for (target, loop, at) in begun { schedule(target, loop, at: at) }
    scheduleDecision()
    return decision
  }

  /// Where probes go from now on.
  /// - Parameter trouble: why none can leave this host; nil: they can.
  func set(paths: [BackendKey: ProbePath], interfaceIndex: UInt32?, trouble: String?) {
    state.withLock {
      $0.paths = paths
      $0.interfaceIndex = interfaceIndex
      if $0.hostTrouble != nil || trouble != nil { $0.troubledUntil = ProbeClock.now }
      $0.hostTrouble = trouble
    }
  }

  /// A copy of what is known now.
  var reading: CheckReading {
    let (board, counts) = state.withLock { ($0.board, $0.counts) }
    return CheckReading(board: board, counts: counts, inFlight: prober.inFlight)
  }

  /// Whether some targets say nothing of their backends.
  var hasUnjudged: Bool { state.withLock { $0.board.hasUnjudged } }

  func stop() { prober.stop() }

  // MARK: The loop of a target

  private func schedule(_ target: HealthBoard.Target, _ loop: Int, at instant: Duration) {
    prober.call(at: instant) { [weak self] in self?.begin(target, loop) }
  }

  private func begin(_ target: HealthBoard.Target, _ loop: Int) {
    let now = ProbeClock.now
    switch state.withLock({ $0.step(target, loop, at: now) }) {
    case .ended: return
    case .wait(let until): schedule(target, loop, at: until)
    case .fail(let failure): end(ProbeOutcome(failure: failure, duration: .zero), target, loop, begun: now)
    case .probe(let probe):
      prober.start(probe, at: nil) { [weak self] outcome, begun in
        self?.end(outcome, target, loop, begun: begun)
      }
    }
  }

  private func end(_ outcome: ProbeOutcome, _ target: HealthBoard.Target, _ loop: Int, begun: Duration) {
    let now = ProbeClock.now
    let ended = state.withLock { state -> (HealthTransition?, next: Duration)? in
      guard state.loops[target]?.number == loop, let job = state.board.jobs[target] else { return nil }
      let outcome = state.excused(outcome, begun: begun)
      state.counts.add(outcome, of: job)
      let transition = state.board.add(outcome, of: target, begun: begun, at: now)
      if let transition { state.counts.add(transition) }
      return (transition, state.nextProbe(of: target, begun: begun, at: now))
    }
    guard let (transition, next) = ended else { return }
    schedule(target, loop, at: next)
    if let transition { changed(transition) }
    scheduleDecision()
  }

  /// Schedules the board's next decision.
  private func scheduleDecision() {
    let due = state.withLock { state -> Duration? in
      guard let next = state.board.nextDecision else { return nil }
      let due = max(next, ProbeClock.now + Self.batching)
      if let wake = state.wake, wake <= due { return nil }
      state.wake = due
      return due
    }
    guard let due else { return }
    prober.call(at: due) { [weak self] in self?.decide() }
  }

  private func decide() {
    let decision = state.withLock { state in
      state.wake = nil
      return state.decide(at: ProbeClock.now) ? state.decision : nil
    }
    if let decision { decided(decision) }
    scheduleDecision()
  }
}

extension HealthChecks.State {
  enum Step {
    /// The loop is not the target's any more.
    case ended
    case wait(until: Duration)
    case fail(ProbeOutcome.Failure)
    case probe(Probe)
  }

  /// Ends loops of targets that are not checked any more, or otherwise than before, and begins those that are missing.
  mutating func replaceLoops(at now: Duration) -> [(HealthBoard.Target, Int, at: Duration)] {
    let jobs = board.jobs
    loops = loops.filter { jobs[$0.key] == $0.value.job }
    return jobs.filter { loops[$0.key] == nil }.map { target, job in
      loopsBegun += 1
      loops[target] = HealthChecks.Loop(number: loopsBegun, job: job)
      return (target, loopsBegun, at: nextProbe(of: target, begun: nil, at: now))
    }
  }

  /// Whether there is another decision.
  mutating func decide(at now: Duration) -> Bool {
    guard let next = board.decide(at: now) else { return false }
    decision = next
    return true
  }

  mutating func nextProbe(of target: HealthBoard.Target, begun: Duration?, at now: Duration) -> Duration {
    board.nextProbe(of: target, begun: begun, at: now, random: Double.random(in: 0..<1, using: &random))
  }

  /// The outcome of a probe. It says nothing about the backend if nothing could leave this host during the probe.
  func excused(_ outcome: ProbeOutcome, begun: Duration) -> ProbeOutcome {
    let now = ProbeClock.now
    guard let failure = outcome.failure, [.timeout, .route, .reply].contains(failure.layer),
      let until = hostTrouble == nil ? troubledUntil : now, until >= begun
    else { return outcome }
    var outcome = outcome
    let trouble = hostTrouble ?? "this host could not send for a while"
    outcome.failure = ProbeOutcome.Failure(.local, "\(trouble): \(failure.reason)")
    return outcome
  }

  mutating func step(_ target: HealthBoard.Target, _ loop: Int, at now: Duration) -> Step {
    guard loops[target]?.number == loop, let job = board.jobs[target] else { return .ended }
    guard job.check.via == .tunnel else { return .probe(Probe(job, through: nil, interfaceIndex: nil)) }
    // The paths of new backends follow within moments, and the interval may be an hour.
    guard let path = paths[target.backend] else {
      return .wait(until: now + min(job.check.interval, .seconds(1)))
    }
    if let hostTrouble { return .fail(ProbeOutcome.Failure(.local, hostTrouble)) }
    guard let interfaceIndex else {
      return .fail(ProbeOutcome.Failure(.local, "probes cannot leave this host"))
    }
    if let trouble = path.trouble { return .fail(trouble) }
    return .probe(Probe(job, through: path.tunnel(to: job.destination), interfaceIndex: interfaceIndex))
  }
}

extension Probe {
  init(_ job: HealthBoard.Job, through tunnel: Tunnel?, interfaceIndex: UInt32?) {
    self.init(
      kind: job.check.kind, destination: job.destination, port: job.port, tunnel: tunnel,
      interfaceIndex: interfaceIndex, timeout: job.check.timeout, isFullSize: job.check.isFullSize)
  }
}
