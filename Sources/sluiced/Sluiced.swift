// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Control
import ControlAPI
import Dispatch
import Foundation
import Logging

/// `sluiced`: keeps the kernel's forwarding in step with the configuration.
@main
struct Sluiced: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluiced",
    abstract: "Layer-4 load balancer daemon: keeps the XDP data plane in step with its configuration.",
    discussion: """
      Stopping the daemon (SIGTERM, SIGINT, or a crash) does not stop forwarding: the program and its tables stay in \
      the kernel, and the next start takes them over. `sluice detach` ends forwarding. SIGHUP reads the configuration \
      again; during a start, after the start. SIGUSR1 and SIGUSR2 are ignored.

      Only one daemon may use a pin directory: a second one exits at once and names the first. --detach ends \
      forwarding when no daemon runs.

      EXAMPLES
        sluiced --config /etc/sluice/sluice.yaml
        sluiced --config config/lab.yaml --log-level debug
        sluiced --detach --config /etc/sluice/sluice.yaml

      EXIT CODES
        0   stopped
        64  wrong usage
        65  configuration invalid
        70  could not start, or was ended by a failure; forwarding continues as it was
        75  another process uses the pins or the sockets
      """,
    version: Version.current)

  @Option(name: .shortAndLong, help: "The configuration file; conf.d/*.yaml beside it is read too.")
  var config = Daemon.defaultConfigurationPath

  @Option(
    help: "error, warning, notice, info, debug or trace.",
    transform: {
      guard let level = Logger.Level(rawValue: $0) else {
        throw ValidationError("\"\($0)\" is not a log level")
      }
      return level
    })
  var logLevel = Logger.Level.info

  @Flag(
    help:
      "Start even if a new hash_seed, hash or table_size breaks connections, or if the configuration has no services."
  )
  var force = false

  @Flag(help: "If the pinned link is on another interface, move it to interfaces[0].name.")
  var takeOver = false

  @Flag(
    help:
      "End the forwarding that a daemon left: detach the program and remove the pins, without starting. Refused while a daemon runs; use `sluice detach` then."
  )
  var detach = false

  /// On the main thread, which is alone until the daemon has given its privileges up: hence no `async` here.
  func run() throws {
    let journal = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
    let level = logLevel
    LoggingSystem.bootstrap { _ in LogLine(level: level, journal: journal) }
    let logger = Logger(label: "sluiced")
    // However the process ends: what was logged is written, where somebody reads it.
    atexit { LogQueue.standardError.flush(within: .seconds(1)) }
    do {
      if detach {
        for line in try OfflineDetach.run(configurationPath: config) { print(line) }
        return
      }
      let daemon = try Daemon(
        configurationPath: config, allowsLostFlows: force, takesOver: takeOver, logger: logger)
      Task {
        do {
          try await daemon.run()
          Self.exit()
        } catch {
          Self.exit(withError: Self.exitCode(for: error, logger))
        }
      }
    } catch {
      throw Self.exitCode(for: error, logger)
    }
    dispatchMain()
  }

  /// Logs why the daemon did not start, or ended.
  private static func exitCode(for error: any Error, _ logger: Logger) -> ExitCode {
    if let error = error as? ConfigurationInvalid {
      LogQueue.standardError.append("\(error)\n")
      return ExitCode(65)
    }
    if let failure = error as? DaemonFailure {
      logger.error("\(failure.message)", metadata: ["error": "\(failure)"])
      return ExitCode(70)
    }
    logger.error("cannot start", metadata: ["error": "\(error)"])
    return ExitCode((error as? StartError)?.isInUseElsewhere == true ? 75 : 70)
  }
}
