// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import LoadBalancing
internal import NIOSSL
internal import Synchronization

/// What TLS needs besides a connection: parsed authorities, above all. Making one of the system's hundred authorities
/// takes milliseconds, so that each is kept for as long as its file stays as it is.
///
/// No session is kept: each probe proves a whole handshake, certificate included, as a new client's would be.
final class HTTPContexts: Sendable {
  static let shared = HTTPContexts()

  private struct Version: Hashable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int
  }

  private struct Entry {
    var version: Version?
    var context: NIOSSLContext
  }

  /// More than one configuration names; files of configurations that are gone go when it is reached.
  private static let limit = 256
  /// Where distributions keep the authorities of the system.
  private static let systemFiles = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
  ]

  private let entries = Mutex<[HTTPQuestion.TLS: Entry]>([:])
  /// Files may be slow: no conversation waits for those of another.
  private let queue = DispatchQueue(label: "sluice.authorities")

  /// Calls back in the order of the calls, without a context where none is asked for.
  func withContext(
    for tls: HTTPQuestion.TLS?,
    _ body: @escaping @Sendable (Result<NIOSSLContext?, ProbeOutcome.Failure>) -> Void
  ) {
    guard let tls else { return body(.success(nil)) }
    queue.async { [self] in
      body(Result { () throws(ProbeOutcome.Failure) in try context(for: tls) })
    }
  }

  /// Calls back when all that was asked for before has been.
  func whenDone(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

  /// - Throws: with layer `local` where the file of authorities is of no use.
  func context(for tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> NIOSSLContext {
    let version = try version(for: tls)
    let result = entries.withLock { entries -> Result<NIOSSLContext, ProbeOutcome.Failure> in
      if let entry = entries[tls], entry.version == version { return .success(entry.context) }
      return Result { () throws(ProbeOutcome.Failure) in try make(tls) }.map { context in
        if entries.count >= Self.limit { entries.removeAll() }
        entries[tls] = Entry(version: version, context: context)
        return context
      }
    }
    return try result.get()
  }

  /// nil: there is no file to depend on.
  private func version(for tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> Version? {
    guard tls.isVerified else { return nil }
    guard let path = tls.authorities else { return Self.systemFiles.lazy.compactMap(Self.version).first }
    guard let version = Self.version(path) else {
      throw ProbeOutcome.Failure(.local, "the authorities cannot be read: there is no file \(path)")
    }
    return version
  }

  private static func version(_ path: String) -> Version? {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Version(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }

  private func make(_ tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.renegotiationSupport = .none
    // Nobody waits for the end of TLS; so long NIOSSL keeps a connection in memory after its end.
    configuration.shutdownTimeout = .milliseconds(1)
    configuration.certificateVerification = tls.isVerified ? .fullVerification : .none
    do {
      if tls.isVerified, let path = tls.authorities {
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(path))
      }
      return try NIOSSLContext(configuration: configuration)
    } catch {
      let path = tls.authorities ?? "the system's files"
      throw ProbeOutcome.Failure(
        .local, "the authorities cannot be read: \(path) holds no certificates in PEM")
    }
  }
}
