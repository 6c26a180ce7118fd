// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import LoadBalancing
public import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// The daemon: assembled here, computed elsewhere.
public struct Daemon: Sendable {
  /// The configuration file where none is named.
  public static let defaultConfigurationPath = "/etc/sluice/sluice.yaml"

  private let node: NodeSettings
  private let reconciler: Reconciler
  private let control: ControlServer
  private let status: ControlServer
  private let logger: Logger

  /// Does all that takes privilege, which is to load the program and to make the maps, and gives privilege up: when
  /// this returns, the process has no capability and cannot get one.
  ///
  /// From the first line on it has no more than loading needs. So a file that it could not open later, of another
  /// owner for example, stops it here.
  /// - Parameters:
  ///   - allowsLostFlows: start also where the flows of a running data plane would get other slots, and break.
  ///   - takesOver: take the pinned link away from another interface than the configured one.
  /// - Precondition: the process has one thread; capabilities are each thread's own.
  /// - Throws: ``ConfigurationInvalid`` or ``StartError``; then nothing was changed.
  public init(
    configurationPath: String, allowsLostFlows: Bool = false, takesOver: Bool = false, logger: Logger
  ) throws {
    EarlyHangup.keep()
    UnusedSignals.ignore()
    try Capabilities.limit(to: .loading)
    let report = ConfigurationLoader.load(path: configurationPath)
    guard let configuration = report.configuration else {
      throw ConfigurationInvalid(report: report.rendered())
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }

    node = configuration.node
    self.logger = logger
    // Before anything is read or made: who holds the lock is the one writer of the pinned maps.
    let lock: PinLock
    do throws(DataplaneError) {
      lock = try PinLock(node.pinDirectory)
    } catch {
      throw StartError(
        error, cure: "stop it, or give this configuration paths.pins, paths.state and sockets of its own")
    }
    reconciler = try Reconciler(
      configurationPath: configurationPath, configuration: configuration, lock: lock,
      allowsLostFlows: allowsLostFlows, takesOver: takesOver, logger: logger)
    var control = ControlServer.control(
      reconciler, path: node.controlSocket, group: node.controlGroup, logger: logger)
    control.onRunning = { [reconciler] in Task { await reconciler.controlIsServed() } }
    self.control = control
    status = ControlServer.status(
      reconciler, path: node.statusSocket, group: node.statusGroup, logger: logger)
    try control.prepare()
    try status.prepare()
    reconciler.attachProbeTunnelAtStart()
    try Capabilities.dropAll()
  }

  /// Forwards as the configuration says, serves until SIGTERM or SIGINT, and leaves the data plane forwarding.
  /// - Throws: ``StartError``; then nothing was changed, or what was changed forwards.
  public func run() async throws {
    try await reconciler.start()
    let listener = node.statusListen.flatMap {
      ControlServer.listener(reconciler, address: $0, logger: logger)
    }
    let services: [any Service] =
      [listener].compactMap(\.self) + [
        control, status,
        NetworkWatch(reconciler: reconciler), HealthWatch(reconciler: reconciler),
        ReloadOnHangup(reconciler: reconciler),
        Tidying(reconciler: reconciler),
        // The last one is the first to be stopped: followers hear of it, and keep no connection open.
        EndOfEvents(events: reconciler.events),
      ]
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
        logger: logger))
    try await group.run()
    let isForwarding = await reconciler.isForwarding
    // What was detached leaves nothing behind, so that a daemon of another user can make it.
    reconciler.lock.removeEmptyDirectory()
    logger.notice(
      isForwarding
        ? "stopped; forwarding goes on without the daemon (`sluice detach` ends it)"
        : "stopped; nothing is forwarded")
  }
}

/// The configuration has mistakes.
public struct ConfigurationInvalid: Error, CustomStringConvertible {
  /// All of them, rendered for people.
  public let report: String
  public var description: String { report }
}
