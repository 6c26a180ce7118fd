// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import NIOCore
internal import NIOTLS

/// Controls one http or https probe. The last handler of the channel's pipeline, above TLS if that is used.
final class HTTPProbeHandler: ChannelInboundHandler, NIOScheduledCallbackHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let question: HTTPQuestion
  private let probe: Probe
  private let deadline: Duration
  private let begun: Duration
  private var steps: [ProbeOutcome.Step]
  private var done: (@Sendable (ProbeOutcome) -> Void)?
  private var examination: HTTPExamination
  private var request = ""
  private var outcome: ProbeOutcome?
  private var alarm: NIOScheduledCallback?
  private var tls: TLSHandler?
  private var isEncrypted = false
  private var isReset = false
  private var gate: HTTPGate?

  /// Whether TLS is required and not established yet.
  var isHandshake: Bool { question.tls != nil && !isEncrypted }

  init(
    question: HTTPQuestion, probe: Probe, deadline: Duration, steps: [ProbeOutcome.Step], begun: Duration,
    done: @escaping @Sendable (ProbeOutcome) -> Void
  ) {
    self.question = question
    self.probe = probe
    self.deadline = deadline
    self.steps = steps
    self.begun = begun
    self.done = done
    examination = HTTPExamination(question)
  }

  /// Adds the probe's handlers to the pipeline.
  /// - Parameter context: the TLS context, `nil` without TLS, or the reason why there is none.
  /// - Throws: if the probe cannot start; it reports its outcome when the channel is closed.
  func join(
    _ pipeline: ChannelPipeline.SynchronousOperations, _ context: Result<TLSContext?, ProbeOutcome.Failure>
  ) throws {
    let gate = HTTPGate(for: self, expectsTLS: question.tls != nil)
    self.gate = gate
    try pipeline.addHandlers(gate, self)
    do throws(ProbeOutcome.Failure) {
      request = try HTTPRequest(question, of: probe).text
      tls = try context.get().map { context throws(ProbeOutcome.Failure) in
        try TLSClient.makeHandler(context, serverName: serverName)
      }
    } catch {
      conclude(error)
      throw error
    }
    if let tls { try pipeline.addHandler(tls, position: .after(gate)) }
  }

  /// The name that the certificate must have; `nil`: the server's address.
  private var serverName: String? { question.hostName.flatMap { IPAddress($0) == nil ? $0 : nil } }

  func handlerAdded(context: ChannelHandlerContext) {
    let instant = NIODeadline.uptimeNanoseconds(UInt64(max(deadline / .nanoseconds(1), 0)))
    alarm = try? context.eventLoop.assumeIsolated().scheduleCallback(at: instant, handler: self)
  }

  func handleScheduledCallback(eventLoop: some EventLoop) {
    alarm = nil
    let within = "within \(probe.timeout.formatted)"
    conclude(
      .init(
        .timeout, isHandshake ? "no end of the TLS handshake \(within)" : "\(examination.missing) \(within)"))
  }

  func channelActive(context: ChannelHandlerContext) {
    if question.tls == nil { ask(context) }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .handshakeCompleted? = event as? TLSUserEvent else { return }
    isEncrypted = true
    addStep(TLSClient.version(of: tls))
    ask(context)
  }

  private func ask(_ context: ChannelHandlerContext) {
    guard outcome == nil else { return }
    context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: request)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard outcome == nil else { return }
    let wasUnknown = examination.status == nil
    let conclusion = examination.add(unwrapInboundIn(data).readableBytesView)
    if wasUnknown, let status = examination.status { addStep("status \(status)") }
    if let conclusion { conclude(conclusion) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? IOError {
      isReset = true
      let failure = ProbeOutcome.Failure.waiting(for: probe, error.errnoCode)
      // Other errors only end the connection; the outcome depends on what was received before.
      if failure.layer == .route { conclude(failure) }
    } else if TLSClient.isUncleanShutdown(error) {
      // The server closed without close_notify: the outcome depends on what was received before.
    } else if isHandshake, isReset {
      // TLS reports a reset like any end of the connection.
      conclude(.init(.tls, "connection reset during the TLS handshake"))
    } else if question.tls != nil {
      let name = serverName ?? probe.destination.description
      conclude(.init(.tls, TLSClient.reason(of: error, tls, name: name)))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if isHandshake {
      conclude(.init(.tls, "connection \(isReset ? "reset" : "closed") during the TLS handshake"))
    } else {
      conclude(examination.end(isReset: isReset))
    }
  }

  /// The channel and its descriptor are closed.
  func handlerRemoved(context: ChannelHandlerContext) {
    conclude(.init(.local, "the connection could not be watched"))
    if let outcome { done?(outcome) }
    done = nil
    tls = nil
    gate = nil
  }

  private func addStep(_ step: String) {
    steps.append(.init(step, after: ProbeClock.now - begun))
  }

  private func conclude(_ conclusion: HTTPExamination.Conclusion) {
    switch conclusion {
    case .passed: conclude(ProbeOutcome.Failure?.none)
    case .failed(let failure): conclude(failure)
    }
  }

  /// Sets the outcome, if it is not set yet, and closes the connection.
  func conclude(_ failure: ProbeOutcome.Failure?) {
    guard outcome == nil else { return }
    outcome = ProbeOutcome(failure: failure, duration: ProbeClock.now - begun, steps: steps)
    alarm?.cancel()
    alarm = nil
    gate?.close()
  }
}
