// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing
internal import NIOCore
internal import NIOPosix

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
    ClientBootstrap(group: group.next()).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        let handler = HTTPProbeHandler(
          question: question, probe: probe, deadline: deadline, steps: steps, begun: begun, done: done)
        try handler.join(channel.pipeline.syncOperations)
      }
    }.withConnectedSocket(descriptor).whenFailure { _ in
      // The channel is closed, and with it the handler has told its outcome.
    }
  }

  private static func resetAtClose(_ descriptor: CInt) {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}
