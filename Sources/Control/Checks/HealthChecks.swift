// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Probing
internal import Synchronization

/// Probes what is to be checked, keeps what is known of its health, and says when health asks for another plan.
///
/// All of it happens on the prober's thread, in steps that do not wait: the reconciler only tells what is to be checked
/// and hears decisions.
final class HealthChecks: Sendable {
  /// Where the probes of a backend go.
  struct Way: Hashable, Sendable {
    var number: BackendNumber
    /// The largest packet that fits into the tunnel.
    var innerMTU: Int
    /// Why nothing can be sent there; nil: all is well.
    var trouble: ProbeOutcome.Failure?
    /// By the VIP's family, as in ``Probe/Tunnel``.
    var sources: [AddressFamily: IPAddress] = [:]
    var standIns: [AddressFamily: IPAddress] = [:]
    var isBackendSilent = false

    /// How probes to a VIP get there.
    func tunnel(to vip: IPAddress) -> Probe.Tunnel {
      Probe.Tunnel(
        backend: number, mtu: innerMTU, source: sources[vip.family], standIn: standIns[vip.family],
        isBackendSilent: isBackendSilent)
    }
  }

  /// The probes of a target, one after the other.
  struct Loop {
    /// A loop that was replaced ends when it notices that this is not its own.
    var number: Int
    var job: HealthBoard.Job
  }

  struct State {
    var board = HealthBoard()
    var loops: [HealthBoard.Target: Loop] = [:]
    var loopsBegun = 0
    var ways: [BackendKey: Way] = [:]
    /// Where tunnelled probes leave; nil: they cannot.
    var interfaceIndex: UInt32?
    /// Why no probe can leave this host; nil: they can.
    var hostTrouble: String?
    /// The latest instant at which ``hostTrouble`` was known to be.
    var troubledUntil: Duration?
    /// What is to be in use as of the latest decision.
    var verdict = HealthDecision()
    var counts = CheckCounts()
    /// When the board is to be asked next.
    var wake: Duration?
    var random = SystemRandomNumberGenerator()
  }

  private static let tick = Duration.milliseconds(10)

  let prober: Prober
  /// Says when there is another ``verdict``.
  let decisions: AsyncStream<Void>
  private let decided: AsyncStream<Void>.Continuation
  private let changed: @Sendable (HealthTransition) -> Void
  let state = Mutex(State())

  /// - Parameter changed: hears of every change of a backend's health, on the prober's thread.
  init(prober: Prober, changed: @escaping @Sendable (HealthTransition) -> Void) {
    self.prober = prober
    self.changed = changed
    (decisions, decided) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// What is to be in use now.
  var verdict: HealthDecision { state.withLock { $0.verdict } }

  /// What health would make of `desired`; nothing changes.
  func foretell(
    _ desired: DesiredState, beside remainder: HealthBoard.Remainder = HealthBoard.Remainder(),
    known: @escaping (BackendKey, IPAddress) -> Bool?
  ) -> HealthDecision {
    let (latest, verdict) = state.withLock { ($0.board, $0.verdict) }
    var board = latest
    board.configure(desired, beside: remainder, at: ProbeClock.now, known: known)
    return board.decide(at: ProbeClock.now) ?? verdict
  }

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
    let (begun, verdict) = state.withLock { state in
      state.board.configure(desired, beside: remainder, at: now, known: known)
      state.counts.follow(state.board.jobs.values)
      _ = state.decide(at: now)
      return (state.replaceLoops(at: now), state.verdict)
    }
    for (target, loop, at) in begun { schedule(target, loop, at: at) }
    askAgain()
    return verdict
  }

  /// Where probes go from now on.
  /// - Parameter trouble: why none can leave this host; nil: they can.
  func take(ways: [BackendKey: Way], interfaceIndex: UInt32?, trouble: String?) {
    state.withLock {
      $0.ways = ways
      $0.interfaceIndex = interfaceIndex
      if $0.hostTrouble != nil || trouble != nil { $0.troubledUntil = ProbeClock.now }
      $0.hostTrouble = trouble
    }
  }

  /// VIPs that backends of the other family are probed at.
  var vipsOfOtherFamilies: [IPAddress] {
    state.withLock { state in
      let jobs = state.board.jobs.values.filter {
        $0.check.way == .tunnel && $0.destination.family != $0.address.family
      }
      return Set(jobs.map(\.destination)).sorted()
    }
  }

  func stop() {
    prober.stop()
    decided.finish()
  }

  // MARK: The loop of a target

  private func schedule(_ target: HealthBoard.Target, _ loop: Int, at instant: Duration) {
    prober.call(at: instant) { [weak self] in self?.begin(target, loop) }
  }

  private func begin(_ target: HealthBoard.Target, _ loop: Int) {
    let now = ProbeClock.now
    switch state.withLock({ $0.step(target, loop, at: now) }) {
    case .ended: return
    case .wait(let until): schedule(target, loop, at: until)
    case .fail(let failure): note(ProbeOutcome(failure: failure, duration: .zero), target, loop, begun: now)
    case .probe(let probe):
      prober.start(probe, at: nil) { [weak self] outcome, begun in
        self?.note(outcome, target, loop, begun: begun)
      }
    }
  }

  private func note(_ outcome: ProbeOutcome, _ target: HealthBoard.Target, _ loop: Int, begun: Duration) {
    let now = ProbeClock.now
    let noted = state.withLock { state -> (HealthTransition?, next: Duration)? in
      guard state.loops[target]?.number == loop, let job = state.board.jobs[target] else { return nil }
      let outcome = state.excused(outcome, begun: begun)
      state.counts.add(outcome, of: job)
      let transition = state.board.note(outcome, of: target, begun: begun, at: now)
      if let transition { state.counts.add(transition) }
      return (transition, state.nextProbe(of: target, begun: begun, at: now))
    }
    guard let (transition, next) = noted else { return }
    schedule(target, loop, at: next)
    if let transition { changed(transition) }
    askAgain()
  }

  /// Sees to it that the board is asked when a decision is due: not at once, so that what many probes bring about in
  /// the same moment is one decision.
  private func askAgain() {
    let due = state.withLock { state -> Duration? in
      guard let next = state.board.nextDecision else { return nil }
      let due = max(next, ProbeClock.now + Self.tick)
      if let wake = state.wake, wake <= due { return nil }
      state.wake = due
      return due
    }
    guard let due else { return }
    prober.call(at: due) { [weak self] in self?.ask() }
  }

  private func ask() {
    let isDecided = state.withLock { state in
      state.wake = nil
      return state.decide(at: ProbeClock.now)
    }
    if isDecided { decided.yield() }
    askAgain()
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

  /// Whether there is another verdict.
  mutating func decide(at now: Duration) -> Bool {
    guard let decision = board.decide(at: now) else { return false }
    verdict = decision
    return true
  }

  mutating func nextProbe(of target: HealthBoard.Target, begun: Duration?, at now: Duration) -> Duration {
    board.nextProbe(of: target, begun: begun, at: now, random: Double.random(in: 0..<1, using: &random))
  }

  /// The outcome of a probe, which says nothing of a backend where nothing could leave this host while it was under
  /// way.
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
    guard job.check.way == .tunnel else { return .probe(Probe(job, through: nil, interfaceIndex: nil)) }
    guard let way = ways[target.backend] else { return .wait(until: now + job.check.interval) }
    if let hostTrouble { return .fail(ProbeOutcome.Failure(.local, hostTrouble)) }
    guard let interfaceIndex else {
      return .fail(ProbeOutcome.Failure(.local, "probes cannot leave this host"))
    }
    if let trouble = way.trouble { return .fail(trouble) }
    return .probe(Probe(job, through: way.tunnel(to: job.destination), interfaceIndex: interfaceIndex))
  }
}

extension Probe {
  init(_ job: HealthBoard.Job, through tunnel: Tunnel?, interfaceIndex: UInt32?) {
    self.init(
      kind: job.check.kind, destination: job.destination, port: job.port, tunnel: tunnel,
      interfaceIndex: interfaceIndex, timeout: job.check.timeout, isFullSize: job.check.isFullSize)
  }
}
