// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import LoadBalancing
internal import Synchronization

/// A cache of TLS contexts, which hold parsed certificate authorities. Parsing the system's authorities takes
/// milliseconds, so each context is kept until its file changes.
///
/// TLS sessions are not kept: each probe tests a full handshake including the certificate, like a new client.
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
    var context: TLSContext
  }

  /// The maximum number of contexts; when it is reached, all are dropped, including those of former configurations.
  private static let limit = 256
  /// The system's authorities, by distribution.
  private static let systemFiles = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
  ]

  private let entries = Mutex<[HTTPQuestion.TLS: Entry]>([:])
  /// Reads the files. A slow file does not delay exchanges that use another one.
  private let queue = DispatchQueue(label: "sluice.authorities")

  /// Calls `body` in the order of the calls, with `nil` if `tls` is `nil`.
  func withContext(
    for tls: HTTPQuestion.TLS?,
    _ body: @escaping @Sendable (Result<TLSContext?, ProbeOutcome.Failure>) -> Void
  ) {
    guard let tls else { return body(.success(nil)) }
    queue.async { [self] in
      body(Result { () throws(ProbeOutcome.Failure) in try context(for: tls) })
    }
  }

  /// Calls `body` after all earlier requests.
  func whenDone(_ body: @escaping @Sendable () -> Void) { queue.async(execute: body) }

  /// - Throws: with layer `local` if the file of authorities cannot be used.
  func context(for tls: HTTPQuestion.TLS) throws(ProbeOutcome.Failure) -> TLSContext {
    let version = try version(for: tls)
    let result = entries.withLock { entries -> Result<TLSContext, ProbeOutcome.Failure> in
      if let entry = entries[tls], entry.version == version { return .success(entry.context) }
      return Result { () throws(ProbeOutcome.Failure) in try TLSClient.makeContext(tls) }.map { context in
        if entries.count >= Self.limit { entries.removeAll() }
        entries[tls] = Entry(version: version, context: context)
        return context
      }
    }
    return try result.get()
  }

  /// The version of the file of authorities; `nil` if none is used.
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

  /// Octets that a file of authorities may have: ten times what all public authorities take.
  private static let longestFile = 4 << 20

  private struct Unreadable: Error {}

  /// The octets of a file of authorities. Reads regular files only, so that a FIFO cannot block the queue.
  static func contents(of path: String) throws -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw Unreadable() }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size <= longestFile
    else { throw Unreadable() }
    var octets: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while octets.count <= longestFile {
      let count = unsafe read(descriptor, &part, part.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Unreadable() }
      guard count > 0 else { return octets }
      octets += part[..<count]
    }
    throw Unreadable()
  }
}
