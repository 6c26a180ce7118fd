// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Synchronization
import Testing

@testable import Probing

@Suite struct EchoTableTests {
  private static let vip = IPAddress.v4(192, 0, 2, 10)
  private static let backend = IPAddress.v4(10, 0, 0, 2)

  private final class Results: Sendable {
    let byNumber = Mutex<[UInt64: ProbeOutcome]>([:])
  }

  /// Echo requests that are never sent, and what came of each.
  private final class Requests {
    let loop: ProbeLoop
    var table = EchoTable()
    private let results = Results()

    init() throws { loop = try ProbeLoop(steering: nil, echo: nil, maxInFlight: 64) }

    deinit {
      // Its event loops end with its own thread.
      try? loop.run()
      loop.stop()
    }

    /// A request in flight whose payload is its number, 48 times.
    func add(_ number: UInt64) throws -> (run: ProbeRun, identifier: UInt16) {
      let probe = Probe(
        kind: .icmp, destination: EchoTableTests.vip, port: 0, tunnel: .loopback,
        timeout: .seconds(3600))
      let run = ProbeRun(probe, number: number, on: loop) { [results] outcome, _ in
        results.byNumber.withLock { $0[number] = outcome }
      }
      run.echoPayload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 48)
      let identifier = table.add(run)
      return (run, try #require(identifier))
    }

    func outcome(of number: UInt64) -> ProbeOutcome? { results.byNumber.withLock { $0[number] } }

    func hear(_ message: ICMPMessage, from sender: IPAddress) {
      table.handler(for: message, from: sender)?()
    }

    /// An error about an encapsulated request, which quotes so much of its payload.
    func hearError(_ identifier: UInt16, to destination: IPAddress = EchoTableTests.vip, quoting: [UInt8]) {
      hear(
        .error(
          .unreachable("host unreachable"),
          about: .init(
            destination: EchoTableTests.backend, isEncapsulated: true,
            echo: .init(destination: destination, identifier: identifier, payload: quoting[...]))),
        from: EchoTableTests.backend)
    }
  }

  @Test func `identifiers are unique among those in flight, and do not follow one another`() throws {
    let requests = try Requests()
    let identifiers = try (0..<1000).map { try requests.add($0).identifier }
    #expect(Set(identifiers).count == 1000)
    let successors = zip(identifiers, identifiers.dropFirst()).count { $0 &+ 1 == $1 }
    #expect(successors < 100)
  }

  @Test func `an error that quotes the request's own octets ends it at once`() throws {
    let requests = try Requests()
    let (_, identifier) = try requests.add(1)
    requests.hearError(identifier, quoting: [UInt8](repeating: 1, count: 8))
    #expect(requests.outcome(of: 1)?.failure?.reason.contains("host unreachable, says 10.0.0.2") == true)
    // A router may add something of its own behind the packet (RFC 4884).
    let (_, other) = try requests.add(2)
    requests.hearError(other, quoting: [UInt8](repeating: 2, count: 48) + [0, 0, 0x20])
    #expect(requests.outcome(of: 2)?.hasPassed == false)
  }

  @Test func `an error that quotes nothing of it is the reason if no reply comes, and none if one does`()
    throws
  {
    let requests = try Requests()
    let (_, answered) = try requests.add(1)
    let (silent, unanswered) = try requests.add(2)
    for identifier in [answered, unanswered] { requests.hearError(identifier, quoting: []) }
    #expect(requests.outcome(of: 1) == nil && requests.outcome(of: 2) == nil)
    requests.hear(
      .echoReply(identifier: answered, sequence: 1, payload: [UInt8](repeating: 1, count: 48)[...]),
      from: Self.vip)
    #expect(requests.outcome(of: 1)?.hasPassed == true)
    silent.expire()
    #expect(requests.outcome(of: 2)?.failure?.reason.contains("host unreachable, says 10.0.0.2") == true)
  }

  @Test func `an error that quotes another request's octets, or another destination, is nobody's`() throws {
    let requests = try Requests()
    let (run, identifier) = try requests.add(1)
    requests.hearError(identifier, quoting: [UInt8](repeating: 2, count: 48))
    requests.hearError(identifier, to: Self.backend, quoting: [UInt8](repeating: 1, count: 48))
    #expect(requests.outcome(of: 1) == nil)
    #expect(run.failureSoFar == nil)
  }
}
