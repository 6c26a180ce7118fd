// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Testing

@testable import Probing

/// The request that a server sees, and the head of its answer.
@Suite struct HTTPProbeTests {
  // MARK: Request

  @Test(arguments: ["GET", "HEAD"]) func `what a server is asked`(_ method: String) async throws {
    let server = StreamServer(parts: ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"])
    let question = HTTPQuestion(method: method, path: "/ready?deep=1", host: "www.example.com")
    let outcome = try await prober().run(server.probe(question))
    #expect(outcome.failure == nil)
    #expect(outcome.steps.map(\.what) == ["connected", "status 200"])
    let lines = try #require(server.heard.first).split(separator: "\r\n", omittingEmptySubsequences: false)
    #expect(lines.first == "\(method) /ready?deep=1 HTTP/1.1")
    #expect(lines.suffix(2) == ["", ""])
    let fields = lines.dropFirst().dropLast(2).map { String($0) }
    #expect(fields.contains("Host: www.example.com:\(server.port)"))
    #expect(fields.contains("Connection: close"))
    #expect(!fields.contains { $0.lowercased().hasPrefix("accept-encoding:") })
    #expect(server.heard.count == 1)
  }

  @Test(
    arguments: [
      (nil, "127.0.0.1", 80, "127.0.0.1"), (nil, "127.0.0.1", 8080, "127.0.0.1:8080"),
      (nil, "::1", 80, "[::1]"), (nil, "::1", 443, "[::1]:443"),
      ("www.example.com", "::1", 80, "www.example.com"),
      ("www.example.com", "127.0.0.1", 8080, "www.example.com:8080"),
      ("www.example.com:80", "127.0.0.1", 8080, "www.example.com:80"),
      ("[2001:db8::1]", "127.0.0.1", 80, "[2001:db8::1]"),
      ("[2001:db8::1]:81", "127.0.0.1", 80, "[2001:db8::1]:81"),
      ("192.0.2.1", "127.0.0.1", 80, "192.0.2.1"),
    ] as [(String?, String, UInt16, String)])
  func `the Host field names the port unless it is the usual one, or is given`(
    _ host: String?, _ address: String, _ port: UInt16, _ field: String
  ) throws {
    let question = HTTPQuestion(host: host)
    let probe = Probe(
      kind: .http(question), destination: IPAddress(address)!, port: port, timeout: .seconds(1))
    #expect(try HTTPRequest(question, of: probe).text.contains("\r\nHost: \(field)\r\n"))
  }

  @Test(
    arguments: [
      HTTPQuestion(method: "GET /\r\nX:"), HTTPQuestion(path: "/a b"), HTTPQuestion(path: "/\r\nX: y"),
      HTTPQuestion(path: "/\u{7f}"), HTTPQuestion(host: "www\n"),
    ])
  func `what would end a word of the request is not sent`(_ question: HTTPQuestion) async throws {
    let server = StreamServer(parts: ["HTTP/1.1 200 OK\r\n\r\n"])
    let outcome = try await prober().run(server.probe(question))
    #expect(outcome.failure?.layer == .local)
    #expect(outcome.failure?.reason.hasPrefix("a request cannot hold ") == true)
    #expect(try await server.ends(1) == [.reset])
    #expect(server.heard == [""])
  }

  @Test(arguments: [1480, 8980]) func `a request of full size fills one packet`(_ mtu: Int) async throws {
    let server = StreamServer(on: "127.0.0.2", parts: ["HTTP/1.1 200 OK\r\n\r\n"])
    var probe = server.probe()
    probe.tunnel = .init(backend: 1, mtu: mtu, source: .v4(127, 0, 0, 1))
    probe.isFullSize = true
    #expect(try await prober(steering: RecordingSteering()).run(probe).failure == nil)
    let request = try #require(server.heard.first)
    #expect(request.utf8.count == mtu - 40)
    #expect(request.split(separator: "\r\n").allSatisfy { $0.utf8.count < 8192 })
  }

  @Test func `connections end by a reset, whatever came of them`() async throws {
    let prober = try prober()
    let server = StreamServer { connection in
      connection.hear()
      connection.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
      connection.awaitClientsEnd()
    }
    #expect(await prober.run(server.probe()).failure == nil)
    #expect(await prober.run(server.probe(HTTPQuestion(body: "yes"))).failure?.layer == .body)
    #expect(await prober.run(server.probe(HTTPQuestion(expected: [204...204]))).failure?.layer == .status)
    #expect(try await server.ends(3) == [.reset, .reset, .reset])
  }

  // MARK: Status

  @Test(
    arguments: [
      (200, [200...299], true), (299, [200...299], true), (300, [200...299], false),
      (304, [304...304], true), (303, [304...304], false), (305, [304...304], false),
      (204, [200...299, 304...304], true), (304, [200...299, 304...304], true),
      (301, [200...299, 304...304], false), (503, [500...599], true), (999, [100...599], false),
      // Nothing of HTTP follows it.
      (101, [101...101], true),
    ] as [(Int, [ClosedRange<Int>], Bool)])
  func `a status passes within the ranges that are expected, their ends included`(
    _ status: Int, _ expected: [ClosedRange<Int>], _ passes: Bool
  ) async throws {
    let server = StreamServer(parts: ["HTTP/1.1 \(status) So it is\r\n\r\n"])
    let outcome = try await prober().run(server.probe(HTTPQuestion(expected: expected)))
    #expect(outcome.hasPassed == passes)
    #expect(outcome.steps.last?.what == "status \(status)")
    if !passes { #expect(outcome.failure?.layer == .status) }
  }

  @Test func `a status that is not expected is told with what is`() async throws {
    let server = StreamServer(parts: ["HTTP/1.1 503 Service Unavailable\r\n\r\n"])
    let question = HTTPQuestion(expected: [200...299, 304...304])
    #expect(
      try await prober().run(server.probe(question)).failure
        == .init(.status, "status 503, expected 200-299, 304"))
  }

  // MARK: Head

  @Test(
    arguments: [
      ("of HTTP/1.0", ["HTTP/1.0 200 OK\r\n\r\n"]),
      ("without a phrase", ["HTTP/1.1 200\r\n\r\n"]),
      ("with an empty phrase", ["HTTP/1.1 200 \r\n\r\n"]),
      ("with bare line feeds", ["HTTP/1.1 200 OK\nServer: old\n\n"]),
      ("with a folded line", ["HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"]),
      ("an octet at a time", "HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n".map { String($0) }),
      ("after interim ones", [interim(100) + interim(103), interim(199), "HTTP/1.1 200 OK\r\n\r\n"]),
      ("after as many interim ones as may be", [interims(8) + "HTTP/1.1 200 OK\r\n\r\n"]),
      ("of 16 KiB", [head(octets: 16 * 1024)]),
      ("with a length that only a body would have to keep", ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]),
    ] as [(String, [String])])
  func `a head that passes`(_ what: String, _ parts: [String]) async throws {
    let server = StreamServer(parts: parts)
    #expect(try await prober().run(server.probe()).failure == nil, "\(what)")
  }

  @Test(
    arguments: [
      ("", .port, "connection closed before a status line"),
      ("HTT", .port, "connection closed before a status line"),
      (interim(100), .port, "connection closed before a status line"),
      ("HTTP/1.1 200 OK\r\nServer: x\r\n", .port, "connection closed before the end of the head"),
      ("SSH-2.0-OpenSSH_9.2\r\n", .status, "not HTTP/1: \"S\""),
      ("HTTP/2 200\r\n\r\n", .status, "not HTTP/1: \"HTTP/2\""),
      ("\u{1}\u{ff}", .status, "not HTTP/1: \".\""),
      ("\r\n", .status, "not HTTP/1: \".\""),
      ("HTTP/1.1\r\n", .status, "no status line: \"HTTP/1.1\""),
      ("HTTP/1.1 20\r\n", .status, "no status line: \"HTTP/1.1 20\""),
      ("HTTP/1.1 2000 OK\r\n", .status, "no status line: \"HTTP/1.1 2000 OK\""),
      ("HTTP/1.1 -20 OK\r\n", .status, "no status line: \"HTTP/1.1 -20 OK\""),
      ("HTTP/1.1 200 OK\r\nno field\r\n", .status, "the head holds a line that is no field: \"no field\""),
      ("HTTP/1.1 200 OK\r\n: x\r\n", .status, "the head holds a line that is no field: \": x\""),
      (interims(9), .status, "more than 8 interim responses"),
      (head(octets: 16 * 1024 + 1), .status, "no end of the head within 16 KiB"),
      ("HTTP/1.1 200 \(String(repeating: "O", count: 20_000))", .status, "no end of the head within 16 KiB"),
      (length("-1"), .body, "the Content-Length is no length: \"-1\""),
      (length(""), .body, "the Content-Length is no length: \"\""),
      (length("0x10"), .body, "the Content-Length is no length: \"0x10\""),
      (length("9223372036854775808"), .body, "the Content-Length is no length: \"9223372036854775808\""),
      (length("5\r\nContent-Length: 6"), .body, "two Content-Lengths that differ: 5 and 6"),
    ] as [(String, ProbeLayer, String)])
  func `a head that fails`(_ head: String, _ layer: ProbeLayer, _ reason: String) async throws {
    let server = StreamServer(parts: [head])
    #expect(try await prober().run(server.probe()).failure == .init(layer, reason))
  }

  @Test func `a status outside the ranges needs no body, and the head's end alone is waited for`()
    async throws
  {
    let server = StreamServer { connection in
      connection.hear()
      connection.say("HTTP/1.1 500 No\r\n\r\n")
      connection.awaitClientsEnd()
    }
    let question = HTTPQuestion(body: "never sent")
    #expect(
      try await prober().run(server.probe(question)).failure == .init(.status, "status 500, expected 200-299")
    )
  }

  // MARK: Ends

  @Test func `an answer counts though the server did not hear the question, and resets`() async throws {
    let server = StreamServer { connection in
      connection.say("HTTP/1.1 200 OK\r\n\r\nwell")
      connection.receive()
      connection.reset()
    }
    #expect(try await prober().run(server.probe()).failure == nil)
  }

  @Test func `a server that resets says nothing of the balancer`() async throws {
    let prober = try prober()
    let atOnce = StreamServer { $0.reset() }
    for _ in 0..<50 { #expect(await prober.run(atOnce.probe()).failure?.layer == .port) }
    let later = StreamServer { connection in
      connection.hear()
      connection.reset()
    }
    #expect(
      await prober.run(later.probe()).failure == .init(.port, "connection reset before a status line"))
  }

  @Test(
    arguments: [
      ("", "no status line within 300 ms"),
      ("HTTP", "no end of the status line within 300 ms"),
      (interim(100), "no end of the status line within 300 ms"),
      ("HTTP/1.1 200 OK\r\nServer", "no end of the head after status 200 within 300 ms"),
      (
        "HTTP/1.1 200 OK\r\n\r\nall is",
        "no end of the body, whose first 6 octets do not hold \"all is well\", within 300 ms"
      ),
    ])
  func `a server that falls silent`(_ answer: String, _ reason: String) async throws {
    let server = StreamServer { connection in
      connection.say(answer)
      connection.awaitClientsEnd()
    }
    let probe = server.probe(HTTPQuestion(body: "all is well"), timeout: .milliseconds(300))
    let outcome = try await prober().run(probe)
    #expect(outcome.failure == .init(.timeout, reason))
    #expect(outcome.duration >= .milliseconds(300))
  }

  @Test func `an octet a second prolongs nothing`() async throws {
    let server = StreamServer { connection in
      connection.hear()
      for octet in "HTTP/1.1 200 OK\r\n\r\n".utf8 where connection.say([octet]) { usleep(1_000_000) }
    }
    let outcome = try await prober().run(server.probe(timeout: .milliseconds(1500)))
    #expect(outcome.failure == .init(.timeout, "no end of the status line within 1500 ms"))
    #expect(outcome.duration < .seconds(5))
  }
}

private func interim(_ status: Int) -> String { "HTTP/1.1 \(status) Wait\r\nLink: </x>\r\n\r\n" }

private func interims(_ count: Int) -> String { String(repeating: interim(102), count: count) }

private func length(_ value: String) -> String { "HTTP/1.1 200 OK\r\nContent-Length: \(value)\r\n\r\n" }

private func head(octets: Int) -> String {
  let line = "HTTP/1.1 200 OK\r\nX: "
  return line + String(repeating: "x", count: octets - line.utf8.count - 4) + "\r\n\r\n"
}
