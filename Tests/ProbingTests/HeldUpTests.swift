// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Glibc
import LoadBalancing
import NIOCore
import Synchronization
import Testing

@testable import Probing

/// What is to be seen of probes while this host is busy with something else.
@Suite struct HeldUpTests {
  @Test
  func `a conversation that nobody leads is the balancer's fault, and keeps what it took until it ends`()
    async throws
  {
    let steering = RecordingSteering()
    let prober = try prober(steering: steering)
    let held = DispatchSemaphore(value: 0)
    prober.loop.group.next().execute { held.wait() }
    let listener = Listener(on: "127.0.0.2")
    var probe = listener.probe(timeout: .milliseconds(200), tunnel: .loopback)
    probe.kind = .http(HTTPQuestion())
    let outcome = await prober.run(probe)
    #expect(
      outcome.failure
        == .init(.local, "the balancer is held up: no verdict 1 s after the timeout"))
    #expect(prober.inFlight == 1)
    #expect(steering.released == [])
    held.signal()
    for _ in 0..<1000 where prober.inFlight > 0 { try await Task.sleep(for: .milliseconds(20)) }
    #expect(prober.inFlight == 0)
    #expect(steering.steered.count == 1)
    #expect(steering.released == steering.steered)
  }

  @Test
  func `answers that came while the thread was held up count before the deadlines that passed meanwhile`()
    async throws
  {
    let prober = try prober()
    // More than one look at the poller shows.
    let servers = (0..<3).map { _ in
      let isFirst = Atomic(true)
      return DatagramServer { question in
        // The first to be asked holds the others up until nobody looks any more.
        if isFirst.exchange(false, ordering: .relaxed) { usleep(100_000) }
        return [question]
      }
    }
    let listener = Listener()
    let (outcomes, told) = AsyncStream.makeStream(of: Bool.self)
    let begin = ProbeClock.now + .milliseconds(200)
    for index in 0..<300 {
      let probe = servers[index % 3].probe(
        .udp(DatagramQuestion(payload: Array("ping".utf8))), timeout: .milliseconds(400))
      prober.start(probe, at: begin) { outcome, _ in told.yield(outcome.hasPassed) }
    }
    // Between two looks at the poller: a deadline that passes then is the next thing that is seen.
    prober.start(listener.probe(), at: begin + .milliseconds(20)) { _, _ in usleep(1_500_000) }
    let passed = await outcomes.prefix(300).reduce(into: 0) { $0 += $1 ? 1 : 0 }
    withExtendedLifetime(listener) {}
    #expect(passed == 300)
  }

  @Test func `slow files of authorities hold up those who ask for them, in order, and nobody else`()
    async throws
  {
    let contexts = HTTPContexts()
    let held = DispatchSemaphore(value: 0)
    contexts.whenDone { held.wait() }
    let calls = Mutex<[String]>([])
    contexts.withContext(for: HTTPQuestion.TLS(isVerified: false)) { result in
      calls.withLock { $0.append((try? result.get()) != nil ? "tls" : "none") }
    }
    contexts.withContext(for: nil) { _ in calls.withLock { $0.append("plain") } }
    #expect(calls.withLock(\.self) == ["plain"])
    held.signal()
    await withCheckedContinuation { over in contexts.whenDone { over.resume() } }
    #expect(calls.withLock(\.self) == ["plain", "tls"])
  }
}
