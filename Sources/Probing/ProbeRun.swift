// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// A probe under way, on the prober's thread: its socket, its time, and what it waits for.
final class ProbeRun {
  let probe: Probe
  /// Which of the loop's runs this is.
  let number: UInt64
  let loop: ProbeLoop
  let begun = ProbeClock.now
  var deadline: Duration { begun + probe.timeout }
  private(set) var steps: [ProbeOutcome.Step] = []
  /// What is expected next, for the reason if it does not come: `no answer to the connection`.
  var expectation = "no answer"

  /// What to say instead, where something came that was not expected.
  var failureSoFar: ProbeOutcome.Failure?

  private let done: ProbeLoop.Done
  private var socket: ProbeSocket?
  private var isWatched = false
  private var interest = Poller.Interest.writing
  /// Whether an HTTP conversation keeps the time and the descriptor.
  private var isHandedOver = false
  /// Whether the conversation has got all the time that it gets beyond its own.
  private var isOverdue = false
  private var isTimerPending = true
  /// Whether anything came from the other end.
  var hasHeard = false
  /// What a server has said so far, where it speaks in parts.
  var heard: [UInt8] = []
  /// What an echo reply must bring back.
  var echoPayload: [UInt8] = []
  /// The number of an echo request in flight.
  private var echoIdentifier: UInt16?
  /// What was steered for it.
  private var echoFlow: ProbeFlow?
  private var proceed: ((ProbeRun) -> Void)?
  private var isTold = false
  private var isOver = false

  init(_ probe: Probe, number: UInt64, on loop: ProbeLoop, _ done: @escaping ProbeLoop.Done) {
    self.probe = probe
    self.number = number
    self.loop = loop
    self.done = done
  }

  var descriptor: CInt { socket?.descriptor ?? -1 }

  func begin() {
    if probe.tunnel != nil, loop.flows == nil {
      return finish(.init(.local, "nothing here steers probes into tunnels"))
    }
    switch probe.kind {
    case .tcp: connect { $0.finish(nil) }
    case .http(let question): connect { run in run.useConnection { run.converse(question) } }
    case .dns(let question) where question.transport == .tcp:
      connect { run in run.useConnection { run.ask(question) } }
    case .dns(let question): exchange { $0.ask(question) }
    case .udp(let question): exchange { $0.send(question) }
    case .icmp: askForEcho()
    }
  }

  /// Waits for the socket, then goes on.
  func wait(for interest: Poller.Interest, expecting: String, _ proceed: @escaping (ProbeRun) -> Void) {
    expectation = expecting
    self.proceed = proceed
    self.interest = interest
    waitAgain()
  }

  /// Where the socket was said to be ready and was not.
  func waitAgain() {
    guard loop.watch(self, interest, isFirst: !isWatched) else {
      return finish(.local("the socket cannot be waited for", errno))
    }
    isWatched = true
  }

  func isReady() { proceed?(self) }

  func note(_ what: String) { steps.append(.init(what, after: ProbeClock.now - begun)) }

  /// Ends the probe, once; nil: it passed.
  func finish(_ failure: ProbeOutcome.Failure?) {
    report(ProbeOutcome(failure: failure, duration: ProbeClock.now - begun, steps: steps))
  }

  /// Failures that an answer tells of.
  private static let answeredLayers: Set<ProbeLayer> = [.vip, .port, .tls, .status, .body]
  /// Another host answers than the backend where the program is gone that steers probes.
  private static let unsteered = ProbeOutcome.Failure(
    .local, "the probe was answered without having been steered: who removed the program from the interface?")

  /// Ends the probe, whoever says what came of it.
  func report(_ outcome: ProbeOutcome) {
    var outcome = outcome
    let isAnswered = outcome.failure.map { Self.answeredLayers.contains($0.layer) } ?? true
    if isAnswered, trace?.hasLeft == false { outcome.failure = Self.unsteered }
    leave()
    tell(outcome)
  }

  private func tell(_ outcome: ProbeOutcome) {
    guard !isTold else { return }
    isTold = true
    done(outcome, begun)
  }

  /// Gives back what the probe has taken.
  private func leave() {
    guard !isOver else { return }
    isOver = true
    proceed = nil
    // The end of a connection is one more packet that has to take its way.
    socket?.close()
    if let flow = socket?.flow ?? echoFlow { loop.flows?.release(flow, of: number) }
    if let echoIdentifier { loop.echoes.forget(echoIdentifier) }
    socket = nil
    loop.ended(self, isTimerPending: isTimerPending)
  }

  func expire() {
    isTimerPending = false
    if isHandedOver { return expireHandedOver() }
    finish(
      failureSoFar ?? failureAtHome() ?? .init(.timeout, "\(expectation) within \(probe.timeout.formatted)"))
  }

  /// The conversation says better what it waited for. One that fails to is held up by this host, and keeps what it took.
  private func expireHandedOver() {
    guard isOverdue else {
      isOverdue = true
      isTimerPending = true
      return loop.extend(self, by: Self.patience)
    }
    tell(
      ProbeOutcome(
        failure: .init(
          .local, "the balancer is held up: no verdict \(Self.patience.formatted) after the timeout"),
        duration: ProbeClock.now - begun, steps: steps))
  }

  /// What a conversation may be late with its verdict.
  private static let patience = Duration.seconds(1)

  /// Why silence says nothing of the backend, or which layer lost what came back; nil: the backend is silent.
  private func failureAtHome() -> ProbeOutcome.Failure? {
    guard let tunnel = probe.tunnel, let trace else { return nil }
    if !trace.hasLeft {
      return tunnel.isBackendSilent
        ? .init(.route, "\(probe.stackDestination) does not answer address resolution")
        : .init(
          .local,
          "no packet of the probe left this host: one of its filters drops it, or next hop "
            + "\(probe.stackDestination) does not answer")
    }
    guard trace.isAnswered, !hasHeard else { return nil }
    return .init(
      .reply,
      "answers came in, and this host did not take them: one of its filters drops them, or their checksum is wrong"
    )
  }

  /// nil: the probe takes no tunnel, or nothing is known.
  private var trace: ProbeTrace? {
    guard let flow = socket?.flow ?? echoFlow else { return nil }
    return loop.flows?.trace(of: flow, of: number)
  }

  // MARK: Echo requests

  /// Takes an identifier, and steers what will carry it into the tunnel. nil: the probe is over.
  func prepareEcho() -> (identifier: UInt16, source: IPAddress?)? {
    do throws(ProbeOutcome.Failure) {
      guard let identifier = loop.echoes.add(self) else {
        throw .init(.local, "too many echo requests in flight")
      }
      echoIdentifier = identifier
      guard let tunnel = probe.tunnel, let flows = loop.flows else { return (identifier, nil) }
      let source = try probe.tunnelSource()
      let flow = ProbeFlow(
        source: source, sourcePort: identifier, destination: probe.destination, port: 0,
        transport: source.family == .v4 ? .icmp4 : .icmp6, standIn: probe.stackDestination)
      try flows.steer(flow, into: tunnel, for: number)
      echoFlow = flow
      return (identifier, source)
    } catch {
      finish(error)
      return nil
    }
  }

  // MARK: Connections

  private func connect(_ then: @escaping (ProbeRun) -> Void) {
    open(SOCK_STREAM) { run in
      run.wait(for: .writing, expecting: "no answer to the connection") { run in
        if let failure = run.socketFailure() { return run.finish(failure) }
        run.hasHeard = true
        run.note("connected")
        then(run)
      }
    }
  }

  /// Goes on to the question, unless this host looked for the connection when its time was over.
  private func useConnection(_ then: () -> Void) {
    guard ProbeClock.now < deadline + ProbeLoop.tolerableDelay else {
      return finish(.init(.local, "the balancer was held up: connected, and no time left to ask"))
    }
    socket?.leaveErrorsToKernel(probe.destination.family)
    then()
  }

  /// What the socket has to complain of; nil: nothing.
  private func socketFailure() -> ProbeOutcome.Failure? { socket?.error(of: probe) }

  /// What an error says that a call on the socket returned.
  func failure(_ number: CInt) -> ProbeOutcome.Failure {
    socket?.failure(number, of: probe) ?? .waiting(for: probe, number)
  }

  private func exchange(_ then: @escaping (ProbeRun) -> Void) { open(SOCK_DGRAM, then) }

  private func open(_ type: __socket_type, _ then: (ProbeRun) -> Void) {
    do throws(ProbeOutcome.Failure) {
      socket = try ProbeSocket(
        for: probe, type: type, run: number, flows: loop.flows)
    } catch {
      return finish(error)
    }
    then(self)
  }

  private func converse(_ question: HTTPQuestion) {
    guard let descriptor = socket?.handOver() else { return }
    // From here on the conversation keeps the time and the descriptor.
    loop.forget(descriptor)
    isHandedOver = true
    let arrival = Arrival(run: self)
    HTTPConversation.begin(
      descriptor: descriptor, question: question, probe: probe, deadline: deadline, group: loop.group,
      steps: steps, begun: begun
    ) { [loop] outcome in
      loop.call(at: .zero) { arrival.report(outcome) }
    }
  }

  /// Carries a run through another thread, which does not touch it.
  private final class Arrival: @unchecked Sendable {
    private let run: ProbeRun

    init(run: ProbeRun) { self.run = run }

    func report(_ outcome: ProbeOutcome) { run.report(outcome) }
  }
}

extension Duration {
  /// `1 s`, `250 ms`
  var formatted: String {
    let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }
}
