// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// A probe in flight, on the prober's thread: its socket, its deadline and its state.
final class ProbeRun {
  let probe: Probe
  /// The number of this run in the loop.
  let number: UInt64
  let loop: ProbeLoop
  let begun = ProbeClock.now
  var deadline: Duration { begun + probe.timeout }
  private(set) var steps: [ProbeOutcome.Step] = []
  /// The reason to report if what is expected next does not arrive: `no answer to the connection`.
  var expectation = "no answer"

  /// The reason to report instead if something unexpected was received.
  var failureSoFar: ProbeOutcome.Failure?

  private let done: ProbeLoop.Done
  private var socket: ProbeSocket?
  private var isWatched = false
  private var interest = Poller.Interest.writing
  /// Whether an HTTP exchange owns the deadline and the descriptor.
  private var isHandedOver = false
  /// Whether the exchange has used its extra time.
  private var isOverdue = false
  private var isTimerPending = true
  /// Whether anything was received.
  var hasHeard = false
  /// The octets received so far of a message that may come in parts.
  var heard: [UInt8] = []
  /// The payload that an echo reply must have.
  var echoPayload: [UInt8] = []
  /// The identifier of the echo request in flight.
  private var echoIdentifier: UInt16?
  /// The flow that was steered for this run.
  private var echoFlow: ProbeFlow?
  private var proceed: ((ProbeRun) -> Void)?
  private var isReported = false
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

  /// Waits for the socket, then calls the continuation.
  func wait(for interest: Poller.Interest, expecting: String, _ proceed: @escaping (ProbeRun) -> Void) {
    expectation = expecting
    self.proceed = proceed
    self.interest = interest
    waitAgain()
  }

  /// The event was spurious: waits again.
  func waitAgain() {
    guard loop.watch(self, interest, isFirst: !isWatched) else {
      return finish(.local("the socket cannot be waited for", errno))
    }
    isWatched = true
  }

  func isReady() { proceed?(self) }

  func addStep(_ what: String) { steps.append(.init(what, after: ProbeClock.now - begun)) }

  /// Ends the probe; later calls have no effect. `nil`: it passed.
  func finish(_ failure: ProbeOutcome.Failure?) {
    report(ProbeOutcome(failure: failure, duration: ProbeClock.now - begun, steps: steps))
  }

  /// Failures that a received answer implies.
  private static let answeredLayers: Set<ProbeLayer> = [.vip, .port, .tls, .status, .body]
  /// Without the program that steers probes, a host other than the backend may answer.
  private static let unsteered = ProbeOutcome.Failure(
    .local, "the probe was answered without having been steered: who removed the program from the interface?")

  /// Reports the outcome and ends the probe.
  func report(_ outcome: ProbeOutcome) {
    var outcome = outcome
    let isAnswered = outcome.failure.map { Self.answeredLayers.contains($0.layer) } ?? true
    if isAnswered, trace?.hasLeft == false { outcome.failure = Self.unsteered }
    leave()
    deliver(outcome)
  }

  private func deliver(_ outcome: ProbeOutcome) {
    guard !isReported else { return }
    isReported = true
    done(outcome, begun)
  }

  /// Releases the probe's resources.
  private func leave() {
    guard !isOver else { return }
    isOver = true
    proceed = nil
    // The RST that ends a connection must go through the tunnel, too.
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

  /// The HTTP exchange reports the timeout with a better reason. If it does not, this host is overloaded, and the
  /// exchange keeps its resources.
  private func expireHandedOver() {
    guard isOverdue else {
      isOverdue = true
      isTimerPending = true
      return loop.extend(self, by: Self.patience)
    }
    deliver(
      ProbeOutcome(
        failure: .init(
          .local, "the balancer is held up: no verdict \(Self.patience.formatted) after the timeout"),
        duration: ProbeClock.now - begun, steps: steps))
  }

  /// The extra time in which an exchange may report its outcome.
  private static let patience = Duration.seconds(1)

  /// The reason why a missing reply is not the backend's failure, or the layer that lost the reply; `nil`: the backend
  /// did not answer.
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

  /// `nil`: the probe uses no tunnel, or the count is unknown.
  private var trace: ProbeTrace? {
    guard let flow = socket?.flow ?? echoFlow else { return nil }
    return loop.flows?.trace(of: flow, of: number)
  }

  // MARK: Echo requests

  /// Reserves an identifier and steers its packets into the tunnel. `nil`: the probe has ended.
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
        run.addStep("connected")
        then(run)
      }
    }
  }

  /// Sends the request, unless the probe's time was over when this host noticed the connection.
  private func useConnection(_ then: () -> Void) {
    guard ProbeClock.now < deadline + ProbeLoop.tolerableDelay else {
      return finish(.init(.local, "the balancer was held up: connected, and no time left to ask"))
    }
    socket?.leaveErrorsToKernel(probe.destination.family)
    then()
  }

  /// The socket's pending error; `nil` if there is none.
  private func socketFailure() -> ProbeOutcome.Failure? { socket?.error(of: probe) }

  /// The failure for an error that a call on the socket returned.
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
    // From here on the exchange owns the deadline and the descriptor.
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

  /// Passes a run through another thread, which does not use it.
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
