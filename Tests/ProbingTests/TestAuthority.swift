// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import NIOSSL

/// A certificate authority of a test's own: files in a directory that goes with it.
final class TestAuthority: Sendable {
  /// A server's certificate with its key.
  struct Identity {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
  }

  static let serverName = "www.example.com"

  /// The authority's own certificate, PEM.
  let certificate: String
  let directory: URL

  init(named name: String = "test authority") throws {
    directory = FileManager.default.temporaryDirectory.appending(
      path: "sluice-authority-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    certificate = directory.appending(path: "ca.pem").path
    try Data().write(to: directory.appending(path: "index"))
    try Data(Self.configuration.utf8).write(to: directory.appending(path: "configuration"))
    try openssl(
      ["req", "-x509", "-subj", "/CN=\(name)", "-keyout", "ca.key", "-out", "ca.pem"] + Self.newKey)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  /// - Parameters:
  ///   - names: as `DNS:www.example.com,IP:127.0.0.1`.
  ///   - validity: in seconds from now.
  func issue(_ names: String = "DNS:\(serverName)", validity: ClosedRange<Double> = -3600...3600) throws
    -> Identity
  {
    try request(names, ["-new", "-out", "request.pem"])
    try openssl([
      "ca", "-batch", "-config", "configuration", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext",
      "-startdate", Self.date(validity.lowerBound), "-enddate", Self.date(validity.upperBound),
      "-in", "request.pem", "-out", "server.pem",
    ])
    return try identity()
  }

  /// A certificate that no authority signed.
  func selfSigned(_ names: String) throws -> Identity {
    try request(names, ["-x509", "-out", "server.pem"])
    return try identity()
  }

  /// What trusts this authority, or the one of another file.
  func question(
    host: String? = serverName, body: String? = nil, authorities: String? = nil
  ) -> HTTPQuestion {
    HTTPQuestion(host: host, body: body, tls: .init(authorities: authorities ?? certificate))
  }

  private func request(_ names: String, _ what: [String]) throws {
    try openssl(
      ["req", "-subj", "/CN=server", "-addext", "subjectAltName=\(names)", "-keyout", "server.key"] + what
        + Self.newKey)
  }

  private func identity() throws -> Identity {
    Identity(
      chain: try NIOSSLCertificate.fromPEMFile(directory.appending(path: "server.pem").path),
      key: try NIOSSLPrivateKey(file: directory.appending(path: "server.key").path, format: .pem))
  }

  private func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.currentDirectoryURL = directory
    let log = directory.appending(path: "log")
    FileManager.default.createFile(atPath: log.path, contents: nil)
    process.standardError = try FileHandle(forWritingTo: log)
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(what: arguments.first ?? "", log: try String(contentsOf: log, encoding: .utf8))
    }
  }

  private struct Failure: Error {
    var what: String
    var log: String
  }

  /// As ASN.1's GeneralizedTime.
  private static func date(_ seconds: Double) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "yyyyMMddHHmmss'Z'"
    return formatter.string(from: Date(timeIntervalSinceNow: seconds))
  }

  private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  private static let configuration = """
    [ca]
    default_ca = authority
    [authority]
    database = index
    new_certs_dir = .
    rand_serial = yes
    unique_subject = no
    default_md = sha256
    policy = anything
    copy_extensions = copy
    [anything]
    commonName = supplied

    """
}
