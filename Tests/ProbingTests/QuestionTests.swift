// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import LoadBalancing
import Testing

@testable import Probing

/// Answers every datagram with some datagrams, on a thread of its own, until it is gone.
final class DatagramServer: Sendable {
  let address: IPAddress
  let port: UInt16
  private let descriptor: CInt

  init(on text: String = "127.0.0.1", _ answer: @escaping @Sendable ([UInt8]) -> [[UInt8]]) {
    address = IPAddress(text)!
    let descriptor = socket(address.family.socketFamily, CInt(SOCK_DGRAM.rawValue), 0)
    let isBound =
      address.withSocketAddress(port: 0) {
        bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), $1)
      } == 0
    precondition(isBound)
    port = boundPort(descriptor)
    self.descriptor = descriptor
    Thread.detachNewThread {
      var buffer = [UInt8](repeating: 0, count: 2048)
      while true {
        var sender = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isOver = withUnsafeMutablePointer(to: &sender) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
            let count = recvfrom(descriptor, &buffer, buffer.count, 0, peer, &size)
            guard count > 0 else { return true }
            for reply in answer(Array(buffer[..<count])) {
              sendto(descriptor, reply, reply.count, 0, peer, size)
            }
            return false
          }
        }
        if isOver { break }
      }
      close(descriptor)
    }
  }

  deinit { shutdown(descriptor, CInt(SHUT_RDWR)) }

  func probe(_ kind: HealthCheck.Kind, timeout: Duration = .seconds(5)) -> Probe {
    Probe(kind: kind, destination: address, port: port, timeout: timeout)
  }
}

func boundPort(_ descriptor: CInt) -> UInt16 {
  var octets = [UInt8](repeating: 0, count: 128)
  var size = socklen_t(octets.count)
  octets.withUnsafeMutableBytes {
    _ = getsockname(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size)
  }
  return UInt16(octets[2]) << 8 | UInt16(octets[3])
}

/// An answer to a query for `www.example.com A`, with its identifier.
@Sendable func sampleAnswer(_ query: [UInt8]) -> [UInt8] {
  SampleAnswer().with { $0.identifier = Array(query.prefix(2)) }
}

@Suite struct QuestionTests {
  let dns = DNSQuestion(name: "www.example.com", answer: .v4(192, 0, 2, 1))

  @Test(arguments: ["127.0.0.1", "::1"]) func `a datagram is answered`(_ address: String) async throws {
    let server = DatagramServer(on: address) { [$0 + Array(" pong".utf8)] }
    let prober = try prober()
    func outcome(_ reply: String?) async -> ProbeOutcome {
      await prober.run(
        server.probe(.udp(DatagramQuestion(payload: Array("ping".utf8), reply: reply.map { Array($0.utf8) })))
      )
    }
    #expect(await outcome(nil).failure == nil)
    #expect(await outcome("g pon").failure == nil)
    #expect(await outcome("pang").failure?.layer == .body)
  }

  @Test func `nobody there, or nobody who answers`() async throws {
    let prober = try prober()
    let silent = DatagramServer { _ in [] }
    let question = HealthCheck.Kind.udp(DatagramQuestion(payload: [1]))
    #expect(
      await prober.run(silent.probe(question, timeout: .milliseconds(200))).failure
        == .init(.timeout, "no reply within 200 ms"))
    var closed = silent.probe(question)
    closed.port = 1
    #expect(await prober.run(closed).failure == .init(.port, "port unreachable, says 127.0.0.1"))
  }

  @Test func `what does not fit into the tunnel is not sent`() async throws {
    let steering = RecordingSteering()
    let probe = Probe(
      kind: .udp(DatagramQuestion(payload: [UInt8](repeating: 0, count: 1453))),
      destination: .v4(127, 0, 0, 2),
      port: 9, tunnel: .loopback, timeout: .seconds(1))
    #expect(await (try prober(steering: steering)).run(probe).failure?.layer == .mtu)
    #expect(steering.steered.count == 1)
    #expect(steering.steered == steering.released)
  }

  @Test func `a name server answers, after something foreign`() async throws {
    let server = DatagramServer { [sampleAnswer([$0[0] ^ 1, $0[1]]), sampleAnswer($0)] }
    #expect(await (try prober()).run(server.probe(.dns(dns))).failure == nil)
  }

  @Test func `hostile name servers`() async throws {
    let prober = try prober()
    let flood = DatagramServer { query in
      Array(repeating: sampleAnswer([query[0] ^ 1, query[1]]), count: 50)
    }
    #expect(
      await prober.run(flood.probe(.dns(dns))).failure == .init(.body, "the answer is to another query"))
    let garbage = DatagramServer { query in
      [Array(query.prefix(2)) + [0x81, 0x80] + [UInt8](repeating: 0xc0, count: 400)]
    }
    let reason = await prober.run(garbage.probe(.dns(dns))).failure?.reason
    #expect(reason?.hasPrefix("malformed answer: ") == true)
  }

  @Test func `a name server over tcp answers in parts, closes, or trickles`() async throws {
    let prober = try prober()
    var question = dns
    question.transport = .tcp
    func failure(_ timeout: Duration, _ serve: @escaping @Sendable (CInt) -> Void) async -> ProbeOutcome
      .Failure?
    {
      let listener = Listener()
      Thread.detachNewThread { [listener] in
        let client = accept(listener.descriptor, nil, nil)
        serve(client)
        close(client)
      }
      var probe = listener.probe(timeout: timeout)
      probe.kind = .dns(question)
      return await prober.run(probe).failure
    }
    #expect(
      await failure(.seconds(5)) { client in
        let query = readSome(client)
        let answer = sampleAnswer(Array(query.dropFirst(2)))
        let parts: [[UInt8]] = [[0], [UInt8(answer.count)] + answer.prefix(20), Array(answer.dropFirst(20))]
        for part in parts {
          send(client, part, part.count, CInt(MSG_NOSIGNAL))
          usleep(20_000)
        }
      } == nil)
    #expect(
      await failure(.seconds(5)) { _ = readSome($0) }
        == .init(.body, "the server closed the connection without an answer"))
    #expect(
      await failure(.milliseconds(500)) { client in
        _ = readSome(client)
        while send(client, [0xff], 1, CInt(MSG_NOSIGNAL)) == 1 { usleep(10_000) }
      } == .init(.timeout, "no answer to the query within 500 ms"))
  }
}

private func readSome(_ descriptor: CInt) -> [UInt8] {
  var buffer = [UInt8](repeating: 0, count: 2048)
  let count = recv(descriptor, &buffer, buffer.count, 0)
  return Array(buffer.prefix(max(count, 0)))
}

/// Raw sockets take CAP_NET_RAW.
@Suite(.enabled(if: geteuid() == 0)) struct EchoTests {
  @Test(arguments: ["127.0.0.1", "::1"]) func `an echo request is answered`(_ address: String) async throws {
    let prober = try Prober(steering: nil, echo: EchoSockets(), maxInFlight: 100)
    let probe = Probe(kind: .icmp, destination: IPAddress(address)!, port: 0, timeout: .seconds(5))
    #expect(await prober.run(probe).failure == nil)
  }

  @Test func `hundreds at once, by two probers that hear each other's replies`() async throws {
    let probers = try (0..<2).map { _ in try Prober(steering: nil, echo: EchoSockets(), maxInFlight: 200) }
    let probe = Probe(kind: .icmp, destination: .v4(127, 0, 0, 3), port: 0, timeout: .seconds(20))
    let passed = await withTaskGroup(of: Bool.self) { group in
      for index in 0..<600 { group.addTask { await probers[index % 2].run(probe).hasPassed } }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(passed == 600)
  }

  @Test func `one through a tunnel is steered by its identifier, of full size, and released`() async throws {
    let steering = RecordingSteering()
    let prober = try Prober(steering: steering, echo: EchoSockets(), maxInFlight: 100)
    let probe = Probe(
      kind: .icmp, destination: .v4(127, 0, 0, 2), port: 0, tunnel: .loopback,
      timeout: .seconds(5), isFullSize: true)
    let outcome = await prober.run(probe)
    #expect(outcome.failure == nil)
    #expect(outcome.steps.first?.what == "echo request of 1460 octets sent")
    #expect(steering.steered.first?.transport == .icmp4)
    #expect(steering.steered.first?.source == .v4(127, 0, 0, 1))
    #expect(steering.steered.count == 1)
    #expect(steering.steered == steering.released)
  }

  @Test func `there is room for thousands of replies, whatever the host grants by default`() throws {
    let sockets = try EchoSockets()
    for family in AddressFamily.allCases {
      var room: CInt = 0
      var size = socklen_t(MemoryLayout<CInt>.size)
      getsockopt(sockets.descriptor(family), SOL_SOCKET, SO_RCVBUF, &room, &size)
      // Linux counts its own bookkeeping, too: twice what was asked for.
      #expect(room == 16 << 20)
    }
  }

  @Test func `without raw sockets it says so`() async throws {
    let probe = Probe(kind: .icmp, destination: .v4(127, 0, 0, 1), port: 0, timeout: .seconds(5))
    #expect(await (try prober()).run(probe).failure?.layer == .local)
  }
}
