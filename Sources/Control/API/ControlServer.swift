// SPDX-License-Identifier: Apache-2.0
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// HTTP/1.1 for the control API. The mode and group of a Unix socket decide which users may connect.
struct ControlServer: Service {
  /// The address to listen on.
  enum Endpoint: Sendable {
    case unix(UnixSocket)
    case tcp(host: String, port: Int)
  }

  /// Connections that NIO accepts before it asks whether it may accept more.
  private static let acceptedInOneRead = 4

  let endpoint: Endpoint
  let responder: ControlResponder
  var limits = ConnectionLimits()
  let logger: Logger
  /// Called once, when connections are accepted and the socket has its group.
  var onRunning: @Sendable () -> Void = {}

  /// The socket for all requests.
  static func control(
    _ plane: any ControlPlane, path: String, group: String?, logger: Logger
  ) -> ControlServer {
    ControlServer(
      endpoint: .unix(UnixSocket(path: path, group: group)), responder: ControlRoutes(plane: plane).control,
      logger: logger)
  }

  /// The socket for read-only requests.
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
    try socket?.prepare()
  }

  func run() async throws {
    // What it would log of a failure is thrown, too.
    let quiet = Logger(label: "sluiced.http") { _ in SwiftLogNoOpLogHandler() }
    let connections = OpenConnections(limit: limits.connections)
    // Of the whole process, so only where a socket's file is made.
    let umask = socket.map { _ in RestrictiveUmask() }
    defer {
      umask?.end()
      socket?.remove()
    }
    let failure = Mutex<StartError?>(nil)
    let application = Application(
      responder: responder,
      server: .http1(
        configuration: .init(
          additionalChannelHandlers: [ConnectionGuard(limits, connections, patience: responder.patience)],
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 64))),
      configuration: ApplicationConfiguration(
        address: address, serverName: "sluiced",
        // Accepting pauses before descriptors run short. Above the limit connections are closed, which takes a moment.
        availableConnectionsDelegate: MaximumAvailableConnections(
          limits.connections + DescriptorBudget.surplusConnections - Self.acceptedInOneRead)),
      onServerRunning: { [self] channel in
        umask?.end()
        do throws(StartError) {
          try publish()
          onRunning()
        } catch {
          failure.withLock { $0 = error }
          channel.close(promise: nil)
        }
      },
      logger: quiet)
    let end: @Sendable () -> Void = { [ending = limits.ending] in
      Task {
        try? await Task.sleep(for: ending)
        connections.closeAll()
      }
    }
    try await withTaskCancellationOrGracefulShutdownHandler {
      try await application.run()
    } onCancelOrGracefulShutdown: {
      end()
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  private var socket: UnixSocket? { if case .unix(let socket) = endpoint { socket } else { nil } }

  private var address: BindAddress {
    switch endpoint {
    case .unix(let socket): .unixDomainSocket(path: socket.temporaryPath)
    case .tcp(let host, let port): .hostname(host, port: port)
    }
  }

  private func publish() throws(StartError) {
    guard let complaint = try socket?.publish() else { return }
    logger.warning("\(complaint)")
  }
}
