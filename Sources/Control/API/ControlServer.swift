// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import ServiceLifecycle

/// HTTP/1.1 on a Unix socket. Who may connect is decided by the socket's mode and group.
struct ControlServer: Service {
  let path: String
  let group: String?
  let responder: RouterResponder<ControlContext>
  let logger: Logger

  /// Connections at a time; more wait in the kernel's queue.
  private static let maximumConnections = 128
  /// A connection that is silent for so long is closed.
  private static let idleTimeout: TimeAmount = .seconds(30)

  /// The socket with all verbs.
  static func control(_ reconciler: Reconciler, path: String, group: String?, logger: Logger) -> ControlServer
  {
    let routes = ControlRoutes(reconciler: reconciler)
    let router = Router(context: ControlContext.self)
    routes.addReading(to: router)
    routes.addChanging(to: router)
    return ControlServer(path: path, group: group, responder: router.buildResponder(), logger: logger)
  }

  /// The socket that only tells.
  static func status(_ reconciler: Reconciler, path: String, group: String?, logger: Logger) -> ControlServer
  {
    let router = Router(context: ControlContext.self)
    ControlRoutes(reconciler: reconciler).addReading(to: router)
    return ControlServer(path: path, group: group, responder: router.buildResponder(), logger: logger)
  }

  func run() async throws {
    var quiet = logger
    quiet.logLevel = .error
    let application = Application(
      responder: responder,
      server: .http1(configuration: .init(idleTimeout: Self.idleTimeout)),
      configuration: ApplicationConfiguration(
        address: .unixDomainSocket(path: path), serverName: "sluiced",
        availableConnectionsDelegate: MaximumAvailableConnections(Self.maximumConnections)),
      onServerRunning: { [self] _ in grantAccess() },
      logger: quiet)
    try await application.run()
    unsafe _ = unlink(path)
  }

  /// Before the bind: takes away what a daemon that is gone left, and nothing else.
  func prepare() throws(StartError) {
    let directory = (path as NSString).deletingLastPathComponent
    try? FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw StartError("\(path) is not a socket", cure: "remove it, or set control.socket to another path")
    }
    guard !UnixSocket.answers(at: path) else {
      throw StartError(
        "another daemon answers on \(path)", cure: "stop it, or give this one its own sockets, pins and state"
      )
    }
    unsafe _ = unlink(path)
  }

  /// Bound with the umask's mode, under which others cannot connect; then opened to the group.
  private func grantAccess() {
    if let group {
      if let entry = unsafe getgrnam(group) {
        unsafe _ = chown(path, uid_t.max, entry.pointee.gr_gid)
      } else {
        logger.warning("no such group; the socket stays the daemon's own", metadata: ["group": "\(group)"])
      }
    }
    unsafe _ = chmod(path, 0o660)
  }
}

/// A Unix stream socket, as far as it is needed to see whether somebody is there.
enum UnixSocket {
  static func answers(at path: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      unsafe bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
    }
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }
}
