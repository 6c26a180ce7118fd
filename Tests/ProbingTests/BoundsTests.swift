// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Synchronization
import Testing

@testable import Probing

/// What `docs/health.md` says of bounds.
@Suite struct BoundsTests {
  @Test func `probes beyond the limit wait in order, and their time begins when they do`() async throws {
    let silent = StreamServer { $0.awaitClientsEnd() }
    let prober = try prober(maxInFlight: 16)
    let timeout = Duration.milliseconds(300)
    let probe = silent.probe(timeout: timeout)
    let ends = AsyncStream.makeStream(of: (number: Int, begun: Duration, outcome: ProbeOutcome).self)
    for number in 0..<40 {
      prober.start(probe, at: nil) { ends.continuation.yield((number, $1, $0)) }
    }
    var all: [(number: Int, begun: Duration, outcome: ProbeOutcome)] = []
    for await end in ends.stream.prefix(40) { all.append(end) }
    #expect(all.allSatisfy { $0.outcome.failure?.layer == .timeout && $0.outcome.duration >= timeout })
    all.sort { $0.begun < $1.begun }
    #expect(all.map(\.number) == Array(0..<40))
    #expect((16..<40).allSatisfy { all[$0].begun >= all[$0 - 16].begun + timeout })
  }

  @Test func `the limit of descriptors is raised as far as may be`() throws {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    getrlimit(resource, &limit)
    limit.rlim_cur = limit.rlim_max - 1
    setrlimit(resource, &limit)
    withExtendedLifetime(try prober(maxInFlight: 16)) {}
    getrlimit(resource, &limit)
    #expect(limit.rlim_cur == limit.rlim_max)
  }

  @Test(arguments: [(8, true), (9, false)])
  func `up to eight answers to other queries are passed over`(_ count: Int, _ passes: Bool) async throws {
    let server = DatagramServer { query in
      Array(repeating: sampleAnswer([query[0] ^ 1, query[1]]), count: count) + [sampleAnswer(query)]
    }
    let question = DNSQuestion(name: "www.example.com", answer: .v4(192, 0, 2, 1))
    let failure = try await prober().run(server.probe(.dns(question))).failure
    #expect(failure == (passes ? nil : .init(.body, "the answer is to another query")))
  }

  @Test func `over tcp the octets of one message are waited for, and no more`() async throws {
    let server = StreamServer { connection in
      connection.receive()
      connection.say([0xff, 0xff] + [UInt8](repeating: 0, count: 65535))
      connection.awaitClientsEnd()
    }
    var probe = server.probe()
    probe.kind = .dns(DNSQuestion(name: "www.example.com", transport: .tcp))
    #expect(
      try await prober().run(probe).failure == .init(.body, "the answer is to another query"))
  }
}
