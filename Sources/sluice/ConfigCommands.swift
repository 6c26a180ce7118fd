// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ConfigurationFile
internal import ControlAPI
internal import Foundation
internal import LoadBalancing
internal import NIOHTTP1

struct ConfigCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "The configuration: check, compare, reload, show.",
    discussion: """
      EXAMPLES
        sluice config check /etc/sluice/sluice.yaml
        sluice config diff && sluice config reload --wait
      """, subcommands: [Check.self, Diff.self, Reload.self, Show.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find every mistake in a file, without the daemon.",
      discussion: "Exit code 0: it can be used. 65: it cannot; each mistake with FILE:LINE:COLUMN.")
    @Argument(help: "conf.d/*.yaml beside it is read too.") var file = "/etc/sluice/sluice.yaml"
    @Option(name: [.short, .long], help: "table or json.") var output = OutputFormat.table

    func run() throws {
      let report = ConfigurationLoader.load(path: file)
      switch output {
      case .json:
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(report.machineForm), as: UTF8.self))
      case .table:
        if !report.diagnostics.isEmpty {
          FileHandle.standardError.write(Data((report.rendered() + "\n").utf8))
        }
        if let configuration = report.configuration {
          let desired = configuration.desired
          print("\(file): ok: \(desired.services.count) virtual services, \(desired.pools.count) pools")
        }
      }
      if report.configuration == nil { throw ExitCode(65) }
    }
  }

  struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What a reload would do, and what was changed at run time.")
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.show(.GET, "/v1/config/diff", as: ConfigurationDiff.self, Rendering.diff)
    }
  }

  struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read the file again and bring the data plane to it.",
      discussion:
        "A bad file changes nothing; exit code 65. When the command returns, the change is in force.")
    @Flag(help: "Wait until it is in force; it always does.") var wait = false
    @Flag(help: "Show what would happen, and change nothing.") var dryRun = false
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      let path = "/v1/config/reload" + (dryRun ? "?dry_run=1" : "")
      try await daemon.show(.POST, path, as: ChangeReply.self, Rendering.effect)
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The effective configuration, runtime changes included; the seed is masked.")
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await reportingFailure {
        print(
          String(decoding: try await daemon.client.send(.GET, "/v1/config"), as: UTF8.self), terminator: "")
      }
    }
  }
}
