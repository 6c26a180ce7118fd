// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import LoadBalancing
public import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// The daemon: assembled here, computed elsewhere.
public struct Daemon {
  private let configurationPath: String
  private let allowsLostFlows: Bool
  private let logger: Logger

  /// - Parameter allowsLostFlows: start also where the flows of a running data plane would get other slots, and break.
  public init(configurationPath: String, allowsLostFlows: Bool = false, logger: Logger) {
    self.allowsLostFlows = allowsLostFlows
    self.configurationPath = configurationPath
    self.logger = logger
  }

  /// Starts, serves until SIGTERM or SIGINT, and leaves the data plane forwarding.
  /// - Throws: ``ConfigurationInvalid`` or ``StartError``; then nothing was changed, or what was changed forwards.
  public func run() async throws {
    let report = ConfigurationLoader.load(path: configurationPath)
    guard let configuration = report.configuration else {
      throw ConfigurationInvalid(report: report.rendered())
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }

    let node = configuration.node
    let reconciler = try Reconciler(
      configurationPath: configurationPath, configuration: configuration, allowsLostFlows: allowsLostFlows,
      logger: logger)
    let control = ControlServer.control(
      reconciler, path: node.controlSocket, group: node.controlGroup, logger: logger)
    let status = ControlServer.status(
      reconciler, path: node.statusSocket, group: node.statusGroup, logger: logger)
    // Who holds the sockets is the one writer of the maps.
    try control.prepare()
    try status.prepare()
    try await reconciler.start()
    let listener = node.statusListen.flatMap {
      ControlServer.listener(reconciler, address: $0, logger: logger)
    }
    let services: [any Service] =
      [listener].compactMap(\.self) + [
        control, status,
        NetworkWatch(reconciler: reconciler), ReloadOnHangup(reconciler: reconciler),
        Tidying(reconciler: reconciler),
      ]
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
        logger: logger))
    try await group.run()
    let isForwarding = await reconciler.isAttached
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
