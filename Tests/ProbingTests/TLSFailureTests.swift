// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import NIOSSL
import Testing

@testable import Probing

/// Servers that break the handshake off, and what counts after it.
@Suite struct TLSFailureTests {
  private let authority: TestAuthority
  private let prober: Prober

  init() throws {
    authority = try TestAuthority()
    prober = try Prober(steering: nil, echo: nil, maxInFlight: 100)
  }

  // MARK: Servers

  @Test func `a server of TLS 1_1 alone`() async throws {
    let server = try await TLSServer(authority.issue()) {
      $0.minimumTLSVersion = .tlsv1
      $0.maximumTLSVersion = .tlsv11
    }
    let failure = await prober.run(server.probe(authority.question())).failure
    #expect(failure == .init(.tls, "the server speaks no TLS from 1.2 on"))
  }

  @Test func `a server without a cipher in common`() async throws {
    let server = try await TLSServer(authority.issue()) {
      $0.maximumTLSVersion = .tlsv12
      // Its certificate is of another kind.
      $0.cipherSuites = "ECDHE-RSA-AES128-GCM-SHA256"
    }
    let failure = await prober.run(server.probe(authority.question())).failure
    #expect(
      failure
        == .init(.tls, "the server's alert says: handshake failure (no cipher in common, or no certificate)"))
  }

  @Test func `a server that wants a client's certificate`() async throws {
    let roots = try NIOSSLCertificate.fromPEMFile(authority.certificate)
    let server = try await TLSServer(authority.issue()) {
      $0.certificateVerification = .noHostnameVerification
      $0.trustRoots = .certificates(roots)
    }
    let failure = await prober.run(server.probe(authority.question())).failure
    #expect(failure == .init(.tls, "the server wants a client's certificate"))
  }

  @Test(
    arguments: [
      (
        Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
        "not TLS: the server says \"HTTP/1.1 400 Bad Request....\""
      ),
      (Array("SSH-2.0-x\r\n".utf8), "not TLS: the server says \"SSH-2.0-x..\""),
      ([], "connection closed during the TLS handshake"),
      ([22], "connection closed during the TLS handshake"),
      ([22, 3, 3, 0, 4, 2, 0], "connection closed during the TLS handshake"),
      // Alerts (RFC 8446, section 6): handshake_failure, internal_error, unrecognized_name.
      (
        [21, 3, 3, 0, 2, 2, 40],
        "the server's alert says: handshake failure (no cipher in common, or no certificate)"
      ),
      ([21, 3, 3, 0, 2, 2, 80], "TLS failed: the server's alert says: internal error"),
      ([21, 3, 3, 0, 2, 2, 112], "the server does not know the name"),
      ([22] + Array("GET / HTTP".utf8), "not TLS: what the server sends is no record of it"),
      ([23, 3, 3, 0, 4, 1, 2, 3, 4], "TLS failed: unexpected record"),
    ] as [([UInt8], String)])
  func `a server that speaks no TLS, or breaks off`(_ answer: [UInt8], _ reason: String) async throws {
    let server = StreamServer { connection in
      connection.receive()
      connection.say(answer)
    }
    let failure = await prober.run(server.probe(authority.question())).failure
    #expect(failure == .init(.tls, reason))
  }

  @Test func `a server that resets in the handshake, or is silent in it`() async throws {
    let resetting = StreamServer { connection in
      connection.receive()
      connection.reset()
    }
    let failure = await prober.run(resetting.probe(authority.question())).failure
    #expect(failure == .init(.tls, "connection reset during the TLS handshake"))
    let silent = StreamServer { $0.awaitClientsEnd() }
    let late = await prober.run(silent.probe(authority.question(), timeout: .milliseconds(300))).failure
    #expect(late == .init(.timeout, "no end of the TLS handshake within 300 ms"))
  }

  // MARK: Answers

  @Test func `what comes through TLS is judged as without it`() async throws {
    let identity = try authority.issue()
    func failure(_ answer: String) async throws -> ProbeOutcome.Failure? {
      let server = try await TLSServer(identity, answering: answer)
      return await prober.run(server.probe(authority.question(body: "all is well"))).failure
    }
    #expect(try await failure("HTTP/1.1 503 No\r\n\r\n") == .init(.status, "status 503, expected 200-299"))
    #expect(try await failure("SMTP") == .init(.status, "not HTTP/1: \"S\""))
    #expect(
      try await failure("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope")
        == .init(.body, "the body of 4 octets does not hold \"all is well\""))
    let chunks = String(repeating: "1\r\nx\r\n", count: 60_000)
    #expect(
      try await failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)")
        == .init(.body, "no verdict within 256 KiB"))
  }
}
