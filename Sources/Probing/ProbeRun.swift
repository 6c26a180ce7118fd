// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// A probe under way, on the prober's thread: its socket, its time, and what it waits for.
final class ProbeRun {
  let probe: Probe
  let loop: ProbeLoop
  let begun = ProbeClock.now
  var deadline: Duration { begun + probe.timeout }
  private(set) var steps: [ProbeOutcome.Step] = []
  /// What is expected next, for the reason if it does not come: `no answer to the connection`.
  var expectation = "no answer"

  private let done: ProbeLoop.Done
  private var socket: ProbeSocket?
  private var token: UInt64?
  private var proceed: ((ProbeRun) -> Void)?
  /// Of an echo request.
  var identifier: UInt16?
  var echoFlow: ProbeFlow?
  private var isOver = false

  init(_ probe: Probe, on loop: ProbeLoop, _ done: @escaping ProbeLoop.Done) {
    self.probe = probe
    self.loop = loop
    self.done = done
  }

  var descriptor: CInt { socket?.descriptor ?? -1 }

  func begin() {
    if probe.tunnel != nil, loop.steering == nil {
      return finish(.init(.local, "nothing here steers probes into tunnels"))
    }
    let timeout = Timeout(run: self)
    loop.call(at: deadline) { timeout.pass() }
    switch probe.kind {
    case .tcp: connect { $0.finish(nil) }
    case .http(let question): connect { $0.converse(question) }
    case .dns(let question) where question.transport == .tcp: connect { $0.ask(question) }
    case .dns(let question): exchange { $0.ask(question) }
    case .udp(let question): exchange { $0.send(question) }
    case .icmp: askForEcho()
    }
  }

  /// Waits for the socket, then goes on.
  func wait(for interest: Poller.Interest, expecting: String, _ proceed: @escaping (ProbeRun) -> Void) {
    expectation = expecting
    self.proceed = proceed
    token = loop.watch(descriptor, interest, for: self, token: token)
  }

  func isReady() { proceed?(self) }

  func note(_ what: String) { steps.append(.init(what, after: ProbeClock.now - begun)) }

  /// Ends the probe, once; nil: it passed.
  func finish(_ failure: ProbeOutcome.Failure?) {
    report(ProbeOutcome(failure: failure, duration: ProbeClock.now - begun, steps: steps))
  }

  func report(_ outcome: ProbeOutcome) {
    guard !isOver else { return }
    isOver = true
    proceed = nil
    if let token { loop.forget(token, descriptor, isOpen: false) }
    socket?.close()
    if let flow = socket?.flow ?? echoFlow { loop.steering?.release(flow) }
    if let identifier { loop.echoes.forget(identifier) }
    socket = nil
    loop.ended()
    done(outcome, begun)
  }

  private func expire() {
    let patience = probe.timeout.formatted
    finish(.init(.timeout, "\(expectation) within \(patience)"))
  }

  /// Holds a run weakly: most are over long before their time.
  private final class Timeout: @unchecked Sendable {
    private weak var run: ProbeRun?

    init(run: ProbeRun) { self.run = run }

    func pass() { run?.expire() }
  }

  // MARK: Connections

  private func connect(_ then: @escaping (ProbeRun) -> Void) {
    open(SOCK_STREAM) { run in
      run.wait(for: .writing, expecting: "no answer to the connection") { run in
        if let failure = run.socket?.error(of: run.probe) { return run.finish(failure) }
        run.note("connected")
        then(run)
      }
    }
  }

  private func exchange(_ then: @escaping (ProbeRun) -> Void) { open(SOCK_DGRAM, then) }

  private func open(_ type: __socket_type, _ then: (ProbeRun) -> Void) {
    do throws(ProbeOutcome.Failure) {
      socket = try ProbeSocket(for: probe, type: type, steering: loop.steering, sources: loop.sources)
    } catch {
      return finish(error)
    }
    then(self)
  }

  private func converse(_ question: HTTPQuestion) {
    guard let descriptor = socket?.handOver() else { return }
    // From here on the conversation keeps the time and the descriptor.
    if let token { loop.forget(token, descriptor, isOpen: true) }
    token = nil
    expectation = "no end of the conversation"
    let arrival = Arrival(run: self)
    HTTPConversation.begin(
      descriptor: descriptor, question: question, probe: probe, deadline: deadline, group: loop.group,
      steps: steps,
      begun: begun
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
