// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import NIOSSL
import Testing

@testable import Probing

/// What https says of itself, and what it verifies.
@Suite struct TLSProbeTests {
  private let authority: TestAuthority
  private let prober: Prober

  init() throws {
    authority = try TestAuthority()
    prober = try Prober(steering: nil, echo: nil, maxInFlight: 100)
  }

  // MARK: Greeting

  @Test(
    arguments: [
      ("www.example.com", "127.0.0.1", "www.example.com"),
      ("www.example.com:8443", "127.0.0.1", "www.example.com"), (nil, "127.0.0.1", nil),
      (nil, "::1", nil), ("127.0.0.1", "127.0.0.1", nil), ("127.0.0.1:8443", "127.0.0.1", nil),
      // What is verified is the address that is probed.
      ("192.0.2.1", "127.0.0.1", nil), ("[2001:db8::1]", "::1", nil), ("[::1]:8443", "::1", nil),
    ] as [(String?, String, String?)])
  func `a server learns the name that it is asked for, but no address`(
    _ host: String?, _ address: String, _ serverName: String?
  ) async throws {
    let server = try await TLSServer(
      authority.issue("DNS:\(TestAuthority.serverName),IP:127.0.0.1,IP:::1"), on: address)
    let outcome = await prober.run(server.probe(authority.question(host: host, body: "all is well")))
    #expect(outcome.failure == nil)
    #expect(outcome.steps.map(\.what) == ["connected", "TLS 1.3", "status 200"])
    #expect(try server.hellos.map { try #require($0).serverName } == [serverName])
  }

  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func `each handshake is a whole one, of TLS 1.2 or 1.3`(_ version: TLSVersion) async throws {
    let server = try await TLSServer(authority.issue()) { $0.maximumTLSVersion = version }
    for _ in 0..<3 {
      let outcome = await prober.run(server.probe(authority.question()))
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
    let failure = await prober.run(server.probe(authority.question(host: host))).failure
    #expect(failure == .init(.tls, reason))
    let trusting = HTTPQuestion(host: host, tls: .init(isVerified: false))
    let unverified = await prober.run(server.probe(trusting)).failure
    #expect(unverified == nil)
  }

  private func plant(_ fault: Fault) throws -> (TestAuthority.Identity, host: String?, reason: String) {
    let right = "DNS:\(TestAuthority.serverName)"
    let unknown = "unknown authority: no chain from the certificate to a trusted one is valid"
    let day = 86_400.0
    switch fault {
    case .otherName:
      return (
        try authority.issue("DNS:example.com,DNS:*.www.example.com"), "\(TestAuthority.serverName):8443",
        "name does not match: the certificate is not for \(TestAuthority.serverName)"
      )
    case .noName:
      return (
        try authority.issue("IP:192.0.2.1"), TestAuthority.serverName,
        "name does not match: the certificate is not for \(TestAuthority.serverName)"
      )
    case .otherAddress:
      return (
        try authority.issue("\(right),IP:192.0.2.1"), "192.0.2.1",
        "name does not match: the certificate is not for 127.0.0.1"
      )
    case .expired:
      return (
        try authority.issue(right, validity: -9 * day ... -2 * day), TestAuthority.serverName,
        "certificate has expired, on \(Self.day(-2 * day))"
      )
    case .early:
      return (
        try authority.issue(right, validity: 2 * day...9 * day), TestAuthority.serverName,
        "certificate is not valid before \(Self.day(2 * day))"
      )
    case .otherAuthority:
      return (try TestAuthority(named: "another authority").issue(right), TestAuthority.serverName, unknown)
    case .sameNamedAuthority: return (try TestAuthority().issue(right), TestAuthority.serverName, unknown)
    case .selfSigned: return (try authority.selfSigned(right), TestAuthority.serverName, unknown)
    }
  }

  @Test func `without a file the system's authorities are trusted, and no others`() async throws {
    let server = try await TLSServer(authority.issue())
    let failure = await prober.run(server.probe(HTTPQuestion(host: TestAuthority.serverName, tls: .init())))
      .failure
    #expect(
      failure == .init(.tls, "unknown authority: no chain from the certificate to a trusted one is valid"))
  }

  // MARK: The file of authorities

  @Test func `the file of authorities is read again when it changes`() async throws {
    let server = try await TLSServer(authority.issue())
    let other = try TestAuthority(named: "another authority")
    let file = authority.directory.appending(path: "trusted.pem")
    func layer(trusting content: String) async throws -> ProbeLayer? {
      // Atomically, as whoever rotates authorities should.
      try content.write(to: file, atomically: true, encoding: .utf8)
      return await prober.run(server.probe(authority.question(authorities: file.path))).failure?.layer
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
    let failure = await prober.run(server.probe(authority.question(authorities: file.path))).failure
    #expect(failure == .init(.local, "the authorities cannot be read: there is no file \(file.path)"))
  }

  @Test(arguments: ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
  func `a file without authorities is the balancer's own fault`(_ content: String) async throws {
    let server = try await TLSServer(authority.issue())
    let file = authority.directory.appending(path: "trusted.pem").path
    try content.write(toFile: file, atomically: true, encoding: .utf8)
    let failure = await prober.run(server.probe(authority.question(authorities: file))).failure
    #expect(failure == .init(.local, "the authorities cannot be read: \(file) holds no certificates in PEM"))
    #expect(
      await prober.run(server.probe(authority.question(authorities: authority.directory.path))).failure?.layer
        == .local
    )
  }

  private static func day(_ seconds: Double) -> String {
    Date(timeIntervalSinceNow: seconds).formatted(.iso8601.year().month().day())
  }
}
