// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import Foundation
internal import LoadBalancing
public import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import UnixSignals

/// The daemon: assembled here, computed elsewhere.
public struct Daemon: Sendable {
  /// The configuration file where none is named.
  public static let defaultConfigurationPath = "/etc/sluice/sluice.yaml"

  private let node: NodeSettings
  private let core: DaemonCore
  private let lock: PinLock
  private let listening: ListenerTrouble
  private let control: ControlServer
  private let status: ControlServer
  private let limits: ConnectionLimits
  private let sockets: ServedSockets
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
    EarlyHangup.record()
    UnusedSignals.ignore()
    try Capabilities.limit(to: .loading)
    let budget = try DescriptorBudget.ofProcess()
    // Control connections need no more, and each loop has three descriptors.
    NIOSingletons.groupLoopCountSuggestion = 2
    var limits = ConnectionLimits()
    limits.connections = budget.connections
    self.limits = limits
    let reader = ConfigurationReader(path: configurationPath)
    let report = reader.read()
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
    self.lock = lock
    core = try DaemonCore(
      reader, configurationPath: configurationPath, configuration: configuration, lock: lock,
      allowsLostFlows: allowsLostFlows, takesOver: takesOver, mostProbes: budget.probes, logger: logger)
    listening = ListenerTrouble { [loop = core.loop] in loop.post(.listening($0)) }
    let sockets = ServedSockets()
    self.sockets = sockets
    var control = ControlServer.control(
      core.plane, path: node.controlSocket, group: node.controlGroup, logger: logger)
    control.limits = limits
    control.onRunning = { [loop = core.loop] in
      sockets.add()
      loop.post(.controlServed)
    }
    self.control = control
    var status = ControlServer.status(
      core.plane, path: node.statusSocket, group: node.statusGroup, logger: logger)
    status.limits = limits
    status.onRunning = { sockets.add() }
    self.status = status
    try control.prepare()
    try status.prepare()
    core.attachProbeHookAtStart()
    try Capabilities.dropAll()
    LogQueue.standardError.startThread()
  }

  /// Forwards as the configuration says, serves until SIGTERM or SIGINT, and leaves the data plane forwarding.
  /// - Throws: ``StartError`` or another error of the start; then nothing was changed, or what was changed forwards.
  ///   ``DaemonFailure`` after the start.
  public func run() async throws {
    try await core.loop.start()
    do {
      try await serve()
    } catch {
      throw sockets.failure(error, isForwarding: core.loop.snapshot.uplinks.isForwarding)
    }
    await core.loop.stop()
    let isForwarding = core.loop.snapshot.uplinks.isForwarding
    // What was detached leaves nothing behind, so that a daemon of another user can make it.
    lock.removeEmptyDirectory()
    logger.notice(
      isForwarding
        ? "stopped; forwarding goes on without the daemon (`sluice detach` ends it)"
        : "stopped; nothing is forwarded")
  }

  /// Returns after SIGTERM or SIGINT.
  private func serve() async throws {
    let endSoon = { @Sendable [logger] in EndDeadline.begin(exitCode: 70, logger: logger) }
    let services: [any Service] =
      [statusListener].compactMap(\.self) + [
        Vital(name: "the control socket", body: control, failed: endSoon),
        Vital(name: "the status socket", body: status, failed: endSoon),
        NetworkWatch(loop: core.loop), ReloadOnHangup(loop: core.loop), PeriodicInputs(loop: core.loop),
        // The last one is the first to be stopped: followers hear of it, and keep no connection open.
        EndOfEvents(events: core.events),
      ]
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: services.map { .init(service: $0) }, gracefulShutdownSignals: [.sigterm, .sigint],
        logger: logger))
    EndDeadline.begin(onSignals: [SIGTERM, SIGINT], logger: logger)
    try await group.run()
  }
}

extension Daemon {
  private var statusListener: StatusListener? {
    guard let address = node.statusListen,
      var server = ControlServer.listener(core.plane, address: address, logger: logger)
    else { return nil }
    server.limits = limits
    return StatusListener(address: address, server: server, trouble: listening, logger: logger)
  }
}

/// The configuration has mistakes.
public struct ConfigurationInvalid: Error, CustomStringConvertible {
  /// All of them, rendered for people.
  public let report: String
  public var description: String { report }
}
