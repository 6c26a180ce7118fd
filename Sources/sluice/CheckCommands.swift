// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOCore
internal import NIOHTTP1

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Health checks: what they found, and one probe now.",
    discussion: """
      EXAMPLES
        sluice check list web
        sluice check run web/web2
      """,
    subcommands: [List.self, Run.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Every way to every backend, with its latest probe.",
      discussion: """
        A backend that is probed at several VIPs has a line for each; it is as healthy as the worst. ROW counts the \
        latest probes that passed (+) or failed (-) in a row.

        EXAMPLES
          sluice check list
          sluice check list web/web2
          sluice check list -o json | jq -r '.[] | select(.state == "down") | "\\(.pool)/\\(.backend) \\(.reason)"'
        """)
    @Argument(help: ArgumentHelp("Only this pool's, or this backend's.", valueName: "pool[/backend]"))
    var of: String?
    @OptionGroup var list: ListOptions

    func run() async throws {
      let names = of?.split(separator: "/", maxSplits: 1).map { escaped(String($0)) } ?? []
      let query = zip(["pool", "backend"], names).map { "\($0)=\($1)" }.joined(separator: "&")
      let path = "/v1/checks" + (query.isEmpty ? "" : "?\(query)")
      try await list.show(path, as: CheckRow.self, Rendering.checks)
    }
  }

  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Probe a backend now, and tell which layer fails.",
      discussion: """
        The probe is the one of the pool's check, by the same way. Where nothing answers, echo requests through the \
        tunnel and without it find out why: the tunnel is not decapsulated, the VIP is missing, the port is closed, \
        the reply is lost. That takes up to ten seconds more than the check's timeout. The outcome changes nothing. \
        Exit code 1 if the probe fails.

        EXAMPLES
          sluice check run web/web2
          sluice check run web/web2 --target 192.0.2.10 -o json | jq -r .layer
        """)
    @Argument(
      help: ArgumentHelp("Such as web/web2.", valueName: "pool/backend"), transform: BackendName.init)
    var name: BackendName
    @Option(help: "The VIP to probe; the worst one where it is not said.") var target: String?
    @OptionGroup var answer: AnswerOptions

    /// Waits a little longer than the daemon: what ends there is told from there.
    var client: ControlClient {
      var client = answer.daemon.client
      client.answerTimeout = TimeAmount(CheckReport.patience) + .seconds(5)
      return client
    }

    func run() async throws {
      let path = "\(name.path)/check" + (target.map { "?target=\(escaped($0))" } ?? "")
      var passed = true
      let see = { (report: CheckReport) in passed = report.passed }
      try await answer.show(.POST, path, by: client, as: CheckReport.self, seeing: see, Rendering.check)
      if !passed { throw ExitCode(1) }
    }
  }
}
