// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import NIOCore
internal import NIOSSL
internal import NIOTLS

/// Leads one probe over http or https: at the far end of the channel's pipeline, above TLS if there is any.
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
  private var tls: NIOSSLClientHandler?
  private var isEncrypted = false
  private var isReset = false
  private var gate: HTTPGate?

  /// Whether TLS is asked for, and not established.
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

  /// Sets the pipeline up.
  /// - Parameter context: for TLS, if it is asked for; or why there is none.
  /// - Throws: where the probe cannot even begin; its outcome says so once the channel is closed.
  func join(
    _ pipeline: ChannelPipeline.SynchronousOperations, _ context: Result<NIOSSLContext?, ProbeOutcome.Failure>
  ) throws {
    let gate = HTTPGate(for: self, expectsTLS: question.tls != nil)
    self.gate = gate
    try pipeline.addHandlers(gate, self)
    do throws(ProbeOutcome.Failure) {
      request = try HTTPRequest(question, of: probe).text
      tls = try context.get().map { context throws(ProbeOutcome.Failure) in try makeTLS(context) }
    } catch {
      conclude(error)
      throw error
    }
    if let tls { try pipeline.addHandler(tls, position: .after(gate)) }
  }

  private func makeTLS(_ context: NIOSSLContext) throws(ProbeOutcome.Failure) -> NIOSSLClientHandler {
    do {
      return try NIOSSLClientHandler(context: context, serverHostname: serverName)
    } catch {
      throw ProbeOutcome.Failure(.local, "\(HTTPExcerpt.of((serverName ?? "").utf8)) is no name for TLS")
    }
  }

  /// What the certificate must hold; nil: the address that the connection leads to.
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
    note(tls?.tlsVersion.map(Self.name) ?? "TLS")
    ask(context)
  }

  private func ask(_ context: ChannelHandlerContext) {
    guard outcome == nil else { return }
    context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: request)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard outcome == nil else { return }
    let wasUnknown = examination.status == nil
    let verdict = examination.take(unwrapInboundIn(data).readableBytesView)
    if wasUnknown, let status = examination.status { note("status \(status)") }
    if let verdict { conclude(verdict) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let error = error as? IOError {
      isReset = true
      let failure = ProbeOutcome.Failure.waiting(for: probe, error.errnoCode)
      // What else ends a connection is told by what had come before.
      if failure.layer == .route { conclude(failure) }
    } else if case .uncleanShutdown? = error as? NIOSSLError {
      // The end of the connection without that of TLS: what counts is what came before.
    } else if isHandshake, isReset {
      // To TLS it is an end like any other.
      conclude(.init(.tls, "connection reset during the TLS handshake"))
    } else if question.tls != nil {
      let name = serverName ?? probe.destination.description
      conclude(.init(.tls, TLSFailure.reason(of: error, certificate: tls?.peerCertificate, name: name)))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    if isHandshake {
      conclude(.init(.tls, "connection \(isReset ? "reset" : "closed") during the TLS handshake"))
    } else {
      conclude(examination.end(isReset: isReset))
    }
  }

  /// The channel is closed, descriptor and all.
  func handlerRemoved(context: ChannelHandlerContext) {
    conclude(.init(.local, "the connection could not be watched"))
    if let outcome { done?(outcome) }
    done = nil
    tls = nil
    gate = nil
  }

  private func note(_ step: String) {
    steps.append(.init(step, after: ProbeClock.now - begun))
  }

  private func conclude(_ verdict: HTTPExamination.Verdict) {
    switch verdict {
    case .passed: conclude(ProbeOutcome.Failure?.none)
    case .failed(let failure): conclude(failure)
    }
  }

  /// Settles the outcome, unless it is, and closes the connection.
  func conclude(_ failure: ProbeOutcome.Failure?) {
    guard outcome == nil else { return }
    outcome = ProbeOutcome(failure: failure, duration: ProbeClock.now - begun, steps: steps)
    alarm?.cancel()
    alarm = nil
    gate?.close()
  }

  private static func name(_ version: TLSVersion) -> String {
    switch version {
    case .tlsv13: "TLS 1.3"
    case .tlsv12: "TLS 1.2"
    default: "TLS"
    }
  }
}
