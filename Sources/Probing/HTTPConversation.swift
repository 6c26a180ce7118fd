// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// A probe over http or https from the connected socket on.
enum HTTPConversation {
  /// Asks the question, judges the answer, and closes the connection with a reset, so that no port is left in TIME_WAIT.
  ///
  /// What a server does bounds it in no way: the verdict falls at the deadline, after 16 KiB of head, after 64 KiB of
  /// body or after 256 KiB in all, and the answer is never decompressed.
  /// - Parameters:
  ///   - descriptor: of a connected TCP socket. Taken over: closed before `done` is called.
  ///   - probe: what `question` belongs to.
  ///   - deadline: as an instant of CLOCK_MONOTONIC; the probe's timeout after it began.
  ///   - group: event loops of NIOPosix that run on until `done` is called.
  ///   - steps: what the probe got over so far; more are added.
  ///   - begun: when the probe began, as an instant of CLOCK_MONOTONIC.
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
        // The channel is closed, and with it the handler has told its outcome.
      }
    }
  }

  /// Ends the event loops once every conversation has begun; each ends with its loop.
  static func end(_ group: any EventLoopGroup) {
    HTTPContexts.shared.whenDone { group.shutdownGracefully { _ in } }
  }

  private static func resetAtClose(_ descriptor: CInt) {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}

extension Result where Success == NIOSSLContext?, Failure == ProbeOutcome.Failure {
  /// Longer than this took the files, and not the threads.
  private var shortest: Duration { .milliseconds(50) }

  /// Where files took what time there was left, the server must not answer for it.
  fileprivate func inTime(_ deadline: Duration, since asked: Duration) -> Self {
    let now = ProbeClock.now
    guard case .success(.some) = self, now >= deadline, now - asked > shortest else { return self }
    return .failure(.init(.local, "the authorities could not be read in time"))
  }
}
