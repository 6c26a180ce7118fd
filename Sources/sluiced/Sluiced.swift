// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Control
import ControlAPI
import Foundation
import Logging

/// `sluiced`: keeps the kernel's forwarding in step with the configuration.
@main
struct Sluiced: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluiced",
    abstract: "Layer-4 load balancer daemon: keeps the XDP data plane in step with its configuration.",
    discussion: """
      Stopping the daemon (SIGTERM, SIGINT, or a crash) does not stop forwarding: program and tables stay in the
      kernel, and the next start takes them over. `sluice detach` ends forwarding. SIGHUP reads the configuration
      again.

      EXAMPLES
        sluiced --config /etc/sluice/sluice.yaml
        sluiced --config config/lab.yaml --log-level debug

      EXIT CODES
        0 stopped   64 usage   65 configuration invalid   70 could not start; what was installed forwards on
      """,
    version: Version.current)

  @Option(name: .shortAndLong, help: "The configuration file; conf.d/*.yaml beside it is read too.")
  var config = "/etc/sluice/sluice.yaml"

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
      "Start also where another hash_seed, hash or table_size breaks the connections that are forwarded now.")
  var force = false

  func run() async throws {
    let journal = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
    let level = logLevel
    LoggingSystem.bootstrap { _ in LogLine(level: level, journal: journal) }
    let logger = Logger(label: "sluiced")
    do {
      try await Daemon(configurationPath: config, allowsLostFlows: force, logger: logger).run()
    } catch let error as ConfigurationInvalid {
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      throw ExitCode(65)
    } catch {
      logger.error("cannot start", metadata: ["error": "\(error)"])
      throw ExitCode(70)
    }
  }
}
