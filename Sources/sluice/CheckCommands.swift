// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOCore
internal import NIOHTTP1

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Show the results of health checks, and probe a backend now.",
    discussion: """
      A target is a backend at one VIP, or at its own address where the check has via: direct.

      EXAMPLES
        sluice check list web
        sluice check run web/web2
      """,
    subcommands: [List.self, Run.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List targets with their health and their latest probe.",
      discussion: """
        A backend that is probed at several VIPs has a line for each VIP. Its health is that of its worst target. STREAK \
        counts the latest probes that passed (+) or failed (-) in a row.

        A dead backend is down at the latest after interval + (fall - 1) x max(interval, timeout) + timeout of its \
        check: with the defaults after 7 s.

        EXAMPLES
          sluice check list
          sluice check list web/web2
          sluice check list -o json | jq -r '.[] | select(.state == "down") | "\\(.pool)/\\(.backend) \\(.reason)"'
        """)
    @Argument(help: ArgumentHelp("Only the targets of this pool or backend.", valueName: "pool[/backend]"))
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
      abstract: "Probe a backend now, and show which layer fails.",
      discussion: """
        The daemon sends the probe of the pool's check, in the same way. If nothing answers, it sends echo requests \
        through the tunnel and without it to find the cause: the backend does not decapsulate, it lacks the VIP, the \
        port is closed, or the reply is lost. This takes up to ten seconds more than the check's timeout.

        The result does not change the health of the backend. The exit code is 1 if the probe fails.

        EXAMPLES
          sluice check run web/web2
          sluice check run web/web2 --target 192.0.2.10 -o json | jq -r .layer
        """)
    @Argument(
      help: ArgumentHelp("The backend, such as web/web2.", valueName: "pool/backend"),
      transform: BackendName.init)
    var name: BackendName
    @Option(help: "The VIP to probe. Default: that of the worst target.") var target: String?
    @OptionGroup var answer: AnswerOptions

    /// Waits a little longer than the daemon, so that the daemon reports its own timeouts.
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
