// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import NIOSSL
import Testing

@testable import Probing

/// The handshake of https, and what is verified in it.
@Suite struct TLSProbeTests {
  private static let name = "www.example.com"
  private let authority: TestAuthority
  private let prober: Prober

  init() throws {
    authority = try TestAuthority()
    prober = try Prober(steering: nil, echo: nil, maxInFlight: 100)
  }

  // MARK: Greeting

  @Test(
    arguments: [
      (name, "127.0.0.1", name), ("\(name):8443", "127.0.0.1", name), (nil, "127.0.0.1", nil),
      (nil, "::1", nil), ("127.0.0.1", "127.0.0.1", nil), ("127.0.0.1:8443", "127.0.0.1", nil),
      // What is verified is the address that is probed.
      ("192.0.2.1", "127.0.0.1", nil), ("[2001:db8::1]", "::1", nil), ("[::1]:8443", "::1", nil),
    ] as [(String?, String, String?)])
  func `a server learns the name that it is asked for, but no address`(
    _ host: String?, _ address: String, _ serverName: String?
  ) async throws {
    let server = try await TLSServer(
      authority.issue("DNS:\(Self.name),IP:127.0.0.1,IP:::1"), on: address)
    let outcome = await prober.run(server.probe(question(host: host, body: "all is well")))
    #expect(outcome.failure == nil)
    #expect(outcome.steps.map(\.what) == ["connected", "TLS 1.3", "status 200"])
    #expect(try server.hellos.map { try #require($0).serverName } == [serverName])
  }

  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func `each handshake is a whole one, of TLS 1.2 or 1.3`(_ version: TLSVersion) async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)")) { $0.maximumTLSVersion = version }
    for _ in 0..<3 {
      let outcome = await prober.run(server.probe(question()))
      #expect(outcome.failure == nil)
      #expect(outcome.steps.map(\.what)[1] == (version == .tlsv12 ? "TLS 1.2" : "TLS 1.3"))
    }
    let hellos = try server.hellos.map { try #require($0) }
    #expect(hellos.count == 3)
    #expect(hellos.allSatisfy { !$0.resumes && Set($0.versions) == [0x0303, 0x0304] })
  }

  // MARK: Certificates

  enum Fault: CaseIterable {
    case otherName, noName, otherAddress, expired, early, otherAuthority, sameNamedAuthority, selfSigned
  }

  @Test(arguments: Fault.allCases)
  func `a certificate that is not valid fails, and passes where nothing is verified`(_ fault: Fault)
    async throws
  {
    let (identity, host, reason) = try plant(fault)
    let server = try await TLSServer(identity)
    let failure = await prober.run(server.probe(question(host: host))).failure
    #expect(failure == .init(.tls, reason))
    let trusting = HTTPQuestion(host: host, tls: .init(isVerified: false))
    let unverified = await prober.run(server.probe(trusting)).failure
    #expect(unverified == nil)
  }

  private func plant(_ fault: Fault) throws -> (TestAuthority.Identity, host: String?, reason: String) {
    let right = "DNS:\(Self.name)"
    let unknown = "unknown authority: no chain from the certificate to a trusted one is valid"
    let day = 86_400.0
    switch fault {
    case .otherName:
      return (
        try authority.issue("DNS:example.com,DNS:*.www.example.com"), "\(Self.name):8443",
        "name does not match: the certificate is not for \(Self.name)"
      )
    case .noName:
      return (
        try authority.issue("IP:192.0.2.1"), Self.name,
        "name does not match: the certificate is not for \(Self.name)"
      )
    case .otherAddress:
      return (
        try authority.issue("\(right),IP:192.0.2.1"), "192.0.2.1",
        "name does not match: the certificate is not for 127.0.0.1"
      )
    case .expired:
      return (
        try authority.issue(right, validity: -9 * day ... -2 * day), Self.name,
        "certificate has expired, on \(Self.day(-2 * day))"
      )
    case .early:
      return (
        try authority.issue(right, validity: 2 * day...9 * day), Self.name,
        "certificate is not valid before \(Self.day(2 * day))"
      )
    case .otherAuthority:
      return (try TestAuthority(named: "another authority").issue(right), Self.name, unknown)
    case .sameNamedAuthority: return (try TestAuthority().issue(right), Self.name, unknown)
    case .selfSigned: return (try authority.selfSigned(right), Self.name, unknown)
    }
  }

  @Test func `without a file the system's authorities are trusted, and no others`() async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)"))
    let failure = await prober.run(server.probe(HTTPQuestion(host: Self.name, tls: .init()))).failure
    #expect(
      failure == .init(.tls, "unknown authority: no chain from the certificate to a trusted one is valid"))
  }

  // MARK: The file of authorities

  @Test func `the file of authorities is read again when it changes`() async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)"))
    let other = try TestAuthority(named: "another authority")
    let file = authority.directory.appending(path: "trusted.pem")
    func layer(trusting content: String) async throws -> ProbeLayer? {
      // Atomically, as whoever rotates authorities should.
      try content.write(to: file, atomically: true, encoding: .utf8)
      return await prober.run(server.probe(question(authorities: file.path))).failure?.layer
    }
    let (right, wrong) = try (
      String(contentsOfFile: authority.certificate, encoding: .utf8),
      String(contentsOfFile: other.certificate, encoding: .utf8)
    )
    #expect(try await layer(trusting: wrong) == .tls)
    #expect(try await layer(trusting: right) == nil)
    #expect(try await layer(trusting: wrong) == .tls)
    #expect(try await layer(trusting: wrong + right) == nil)
    #expect(try await layer(trusting: "nonsense") == .local)
    #expect(try await layer(trusting: right) == nil)
    try FileManager.default.removeItem(at: file)
    let failure = await prober.run(server.probe(question(authorities: file.path))).failure
    #expect(failure == .init(.local, "the authorities cannot be read: there is no file \(file.path)"))
  }

  @Test(arguments: ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
  func `a file without authorities is the balancer's own fault`(_ content: String) async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)"))
    let file = authority.directory.appending(path: "trusted.pem").path
    try content.write(toFile: file, atomically: true, encoding: .utf8)
    let failure = await prober.run(server.probe(question(authorities: file))).failure
    #expect(failure == .init(.local, "the authorities cannot be read: \(file) holds no certificates in PEM"))
    #expect(
      await prober.run(server.probe(question(authorities: authority.directory.path))).failure?.layer == .local
    )
  }

  // MARK: Servers

  @Test func `a server of TLS 1_1 alone`() async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)")) {
      $0.minimumTLSVersion = .tlsv1
      $0.maximumTLSVersion = .tlsv11
    }
    let failure = await prober.run(server.probe(question())).failure
    #expect(failure == .init(.tls, "the server speaks no TLS from 1.2 on"))
  }

  @Test func `a server without a cipher in common`() async throws {
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)")) {
      $0.maximumTLSVersion = .tlsv12
      // Its certificate is of another kind.
      $0.cipherSuites = "ECDHE-RSA-AES128-GCM-SHA256"
    }
    let failure = await prober.run(server.probe(question())).failure
    #expect(
      failure
        == .init(.tls, "the server's alert says: handshake failure (no cipher in common, or no certificate)"))
  }

  @Test func `a server that wants a client's certificate`() async throws {
    let roots = try NIOSSLCertificate.fromPEMFile(authority.certificate)
    let server = try await TLSServer(authority.issue("DNS:\(Self.name)")) {
      $0.certificateVerification = .noHostnameVerification
      $0.trustRoots = .certificates(roots)
    }
    let failure = await prober.run(server.probe(question())).failure
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
    let failure = await prober.run(server.probe(question())).failure
    #expect(failure == .init(.tls, reason))
  }

  @Test func `a server that resets in the handshake, or is silent in it`() async throws {
    let resetting = StreamServer { connection in
      connection.receive()
      connection.reset()
    }
    let failure = await prober.run(resetting.probe(question())).failure
    #expect(failure == .init(.tls, "connection reset during the TLS handshake"))
    let silent = StreamServer { $0.awaitClientsEnd() }
    let late = await prober.run(silent.probe(question(), timeout: .milliseconds(300))).failure
    #expect(late == .init(.timeout, "no end of the TLS handshake within 300 ms"))
  }

  // MARK: Answers

  @Test func `what comes through TLS is judged as without it`() async throws {
    let identity = try authority.issue("DNS:\(Self.name)")
    func failure(_ answer: String) async throws -> ProbeOutcome.Failure? {
      let server = try await TLSServer(identity, answering: answer)
      return await prober.run(server.probe(question(body: "all is well"))).failure
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

  private func question(
    host: String? = name, body: String? = nil, authorities: String? = nil
  ) -> HTTPQuestion {
    HTTPQuestion(
      host: host, body: body, tls: .init(authorities: authorities ?? authority.certificate))
  }

  private static func day(_ seconds: Double) -> String {
    Date(timeIntervalSinceNow: seconds).formatted(.iso8601.year().month().day())
  }
}
