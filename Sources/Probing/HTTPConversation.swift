// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing
internal import NIOCore
internal import NIOPosix

/// The part of an http or https probe that follows the TCP connection.
enum HTTPConversation {
  /// Sends the request, examines the response, and closes the connection with a RST, so that no port stays in
  /// TIME_WAIT.
  ///
  /// It ends at the deadline, after 16 KiB of head, 64 KiB of body or 256 KiB in all, whatever the server sends. The
  /// response is never decompressed.
  /// - Parameters:
  /// - descriptor: a connected TCP socket. This call takes ownership and closes it before it calls `done`.
  /// - probe: the probe that `question` belongs to.
  /// - deadline: the end of the probe's timeout, in time of CLOCK_MONOTONIC.
  /// - group: event loops of NIOPosix, which must run until `done` is called.
  /// - steps: the stages that the probe has completed; further ones are appended.
  /// - begun: the start of the probe, in time of CLOCK_MONOTONIC.
  ///   - done: called once, on the event loop's thread.
  static func begin(
    descriptor: CInt, question: HTTPQuestion, probe: Probe, deadline: Duration, group: any EventLoopGroup,
    steps: [ProbeOutcome.Step], begun: Duration, done: @escaping @Sendable (ProbeOutcome) -> Void
  ) {
    resetAtClose(descriptor)
    let asked = ProbeClock.now
    HTTPContexts.shared.withContext(for: question.tls) { tls in
      ClientBootstrap(group: group.next()).channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = HTTPProbeHandler(
            question: question, probe: probe, deadline: deadline, steps: steps, begun: begun, done: done)
          try handler.join(channel.pipeline.syncOperations, tls.inTime(deadline, since: asked))
        }
      }.withConnectedSocket(descriptor).whenFailure { _ in
        // The channel is closed, and the handler has reported the outcome.
      }
    }
  }

  /// Shuts the event loops down after every exchange has started; each exchange ends with its loop.
  static func end(_ group: any EventLoopGroup) {
    HTTPContexts.shared.whenDone { group.shutdownGracefully { _ in } }
  }

  private static func resetAtClose(_ descriptor: CInt) {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}

extension Result where Success == TLSContext?, Failure == ProbeOutcome.Failure {
  /// A longer delay was caused by the files and not by thread scheduling.
  private var shortest: Duration { .milliseconds(50) }

  /// Fails with layer `local` if reading the files used up the probe's time: that is not the server's fault.
  fileprivate func inTime(_ deadline: Duration, since asked: Duration) -> Self {
    let now = ProbeClock.now
    guard case .success(.some) = self, now >= deadline, now - asked > shortest else { return self }
    return .failure(.init(.local, "the authorities could not be read in time"))
  }
}
