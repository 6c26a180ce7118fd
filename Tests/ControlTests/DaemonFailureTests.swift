// SPDX-License-Identifier: Apache-2.0
import ServiceLifecycle
import Synchronization
import Testing

@testable import Control

/// What ends the daemon, and what it says then.
@Suite struct DaemonFailureTests {
  private struct Refused: Error {}

  private struct Body: Service {
    var error: Refused?
    func run() async throws { if let error { throw error } }
  }

  @Test(arguments: [nil, Refused()] as [Refused?])
  private func `a vital service that ends by itself is a failure`(error: Refused?) async {
    let failures = Counter()
    await #expect(throws: (any Error).self) {
      try await Vital(name: "the control socket", body: Body(error: error), failed: failures.add).run()
    }
    #expect(failures.count.load(ordering: .relaxed) == 1)
  }

  @Test func `only what fails before both sockets are served is a failure of the start`() throws {
    let sockets = ServedSockets()
    sockets.add()
    #expect(sockets.failure(Refused(), isForwarding: true) is Refused)
    sockets.add()
    for (isForwarding, words) in [
      (true, "failed; forwarding goes on without the daemon"), (false, "failed; nothing is forwarded"),
    ] {
      let failure = try #require(sockets.failure(Refused(), isForwarding: isForwarding) as? DaemonFailure)
      #expect(failure.message == words && failure.description == "Refused()")
    }
  }
}

private final class Counter: Sendable {
  let count = Atomic(0)
  @Sendable func add() { count.wrappingAdd(1, ordering: .relaxed) }
}
