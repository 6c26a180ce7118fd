// SPDX-License-Identifier: Apache-2.0
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// HTTP/1.1 for the control API. Who may connect to a Unix socket is decided by its mode and group.
struct ControlServer: Service {
  /// Where it listens.
  enum Endpoint: Sendable {
    case unix(UnixSocket)
    case tcp(host: String, port: Int)
  }

  let endpoint: Endpoint
  let responder: ControlResponder
  var limits = ConnectionLimits()
  let logger: Logger
  /// Called once, when connections are accepted and the socket has its group.
  var onRunning: @Sendable () -> Void = {}

  /// The socket with all verbs.
  static func control(
    _ plane: any ControlPlane, path: String, group: String?, logger: Logger
  ) -> ControlServer {
    ControlServer(
      endpoint: .unix(UnixSocket(path: path, group: group)), responder: ControlRoutes(plane: plane).control,
      logger: logger)
  }

  /// The socket that only tells.
  static func status(
    _ plane: any ControlPlane, path: String, group: String?, logger: Logger
  ) -> ControlServer {
    ControlServer(
      endpoint: .unix(UnixSocket(path: path, group: group)), responder: ControlRoutes(plane: plane).status,
      logger: logger)
  }

  /// Status and metrics over TCP, for collectors.
  /// - Parameter address: `ADDRESS:PORT` or `[ADDRESS]:PORT`, as the configuration has checked it.
  static func listener(_ plane: any ControlPlane, address: String, logger: Logger) -> ControlServer? {
    guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...])
    else { return nil }
    let host = address[..<colon].filter { $0 != "[" && $0 != "]" }
    return ControlServer(
      endpoint: .tcp(host: host, port: port), responder: ControlRoutes(plane: plane).listener, logger: logger)
  }

  /// Before the bind, so that a second daemon ends before it touches anything.
  func prepare() throws(StartError) {
    if case .unix(let socket) = endpoint { try socket.prepare() }
  }

  func run() async throws {
    var quiet = logger
    quiet.logLevel = .error
    let connections = OpenConnections(limit: limits.connections)
    let birth = ClosedBirth()
    defer { birth.end() }
    let failure = Mutex<StartError?>(nil)
    let application = Application(
      responder: responder,
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [ConnectionGuard(limits, connections, patience: responder.patience)],
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 64))),
      configuration: ApplicationConfiguration(address: address, serverName: "sluiced"),
      onServerRunning: { [self] channel in
        birth.end()
        do throws(StartError) {
          try publish()
          onRunning()
        } catch {
          failure.withLock { $0 = error }
          channel.close(promise: nil)
        }
      },
      logger: quiet)
    try await application.run()
    if let failure = failure.withLock({ $0 }) { throw failure }
    if case .unix(let socket) = endpoint { socket.remove() }
  }

  private var address: BindAddress {
    switch endpoint {
    case .unix(let socket): .unixDomainSocket(path: socket.birthPath)
    case .tcp(let host, let port): .hostname(host, port: port)
    }
  }

  private func publish() throws(StartError) {
    guard case .unix(let socket) = endpoint, let complaint = try socket.publish() else { return }
    logger.warning("\(complaint)")
  }
}
