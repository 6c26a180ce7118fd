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
        sluice config diff && sluice config reload
      """, subcommands: [Check.self, Diff.self, Reload.self, Show.self, Schema.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find every mistake in a file, without the daemon.",
      discussion: """
        Exit code 0: the configuration can be used. 65: it cannot. Mistakes are printed as FILE:LINE:COLUMN on stderr, \
        or with -o json on stdout. The first 100 errors and 100 warnings are shown, the others counted.

        Run by root, it also reads the files as the daemon's user: the owner of the control socket, or else the user \
        sluice. What only root can read is a warning.

        EXAMPLES
          sluice config check
          sluice config check new.yaml -o json | jq '.errors[].line'
        """)
    @Argument(help: "conf.d/*.yaml beside it is read too.") var file = "/etc/sluice/sluice.yaml"
    @Option(name: [.short, .long], help: "table or json.") var output = OutputFormat.table

    func run() throws {
      var report = ConfigurationLoader.load(path: file)
      if geteuid() == 0, let user = report.configuration.flatMap(DaemonUser.init(of:)) {
        report = report.adding(warnings: user.findings(in: file, besides: report))
      }
      switch output {
      case .json:
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(indentedJSON(Array(try encoder.encode(report.machineForm))))
      case .table:
        if !report.diagnostics.isEmpty {
          inform(visible(report.rendered(), keeping: "\n") + "\n")
        }
        if let desired = report.configuration?.desired {
          let services = counted(desired.services.count, "virtual service")
          try write("\(visible(file)): ok: \(services), \(counted(desired.pools.count, "pool"))")
        }
      }
      if report.configuration == nil { throw ExitCode(65) }
    }
  }

  struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "What a reload would do, and what was changed at run time.",
      discussion: "EXAMPLE\n  sluice config diff")
    @OptionGroup var answer: AnswerOptions

    func run() async throws {
      try await answer.show(.GET, "/v1/config/diff", as: ConfigurationDiff.self, Rendering.diff)
    }
  }

  struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read the configuration again and put it in force.",
      discussion: """
        When the command returns, the change is in force. An invalid file changes nothing; the exit code is 65.

        The daemon refuses these changes unless --force is given: a new hash_seed, hash or table_size; the removal of \
        a service that had packets within the last five minutes; the removal of all services.

        If changed keys need a restart of sluiced, everything else is put in force, the answer names these keys, and \
        the exit code is 3.

        EXAMPLES
          sluice config reload --dry-run
          sluice config reload
        """)
    @Flag(help: "Accepted for scripts. The command always waits.")
    var wait = false
    @OptionGroup var change: DryRunOptions
    @OptionGroup var force: ForceOptions
    @OptionGroup var answer: AnswerOptions

    func run() async throws {
      try await answer.showChange(.POST, change.path("/v1/config/reload", force.parameters))
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The effective configuration as YAML, runtime changes included; the seed is masked.",
      discussion: "EXAMPLE\n  sluice config show")
    @OptionGroup var daemon: DaemonOptions

    func run() async throws { try await daemon.copy(.GET, "/v1/config") }
  }

  struct Schema: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The keys of a configuration as a JSON Schema, for editors; without the daemon.",
      discussion: "EXAMPLE\n  sluice config schema > sluice.schema.json")

    func run() throws { try write(configurationSchema) }
  }
}
