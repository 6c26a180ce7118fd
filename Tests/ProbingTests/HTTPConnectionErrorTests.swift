// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import NIOCore
import NIOPosix
import Testing

@testable import Probing

@Suite struct HTTPConnectionErrorTests {
  @Test(
    arguments: [
      (ENETUNREACH, .route), (EHOSTUNREACH, .route), (EHOSTDOWN, .route), (ECONNRESET, .port), (EPIPE, .port),
    ] as [(CInt, ProbeLayer)])
  func `an error of the connection is told as what it is`(_ number: CInt, _ layer: ProbeLayer) async {
    let listener = Listener()
    let probe = listener.probe()
    let outcome = await withCheckedContinuation { over in
      ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = HTTPProbeHandler(
            question: HTTPQuestion(), probe: probe, deadline: ProbeClock.now + .seconds(60), steps: [],
            begun: ProbeClock.now
          ) { over.resume(returning: $0) }
          try handler.join(channel.pipeline.syncOperations, .success(nil))
        }
      }.connect(host: "127.0.0.1", port: Int(listener.port)).whenSuccess { channel in
        // Once the channel knows that it is connected.
        channel.eventLoop.execute {
          channel.pipeline.fireErrorCaught(IOError(errnoCode: number, reason: "read"))
          channel.close(promise: nil)
        }
      }
    }
    #expect(outcome.failure?.layer == layer)
  }
}
