// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOHTTP1

struct BackendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backend", abstract: "List, add, remove, drain and weigh backends.",
    discussion: """
      Changes survive reloads and restarts. `sluice config diff` lists them as drift.

      EXAMPLES
        sluice backend list web
        sluice backend drain web/web2 --reason "kernel update"
        sluice backend set web/web2 --weight 50 --dry-run
        sluice backend add web/web4 --address 10.0.0.14
      """,
    subcommands: [
      List.self, AddBackend.self, RemoveBackend.self, SetBackend.self, Drain.self, Undrain.self, Maint.self,
    ])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Backends with state, share of new flows and next hop.",
      discussion: """
        A "*" after the state marks a backend that was changed at run time; a line below says by whom and why.

        EXAMPLES
          sluice backend list
          sluice backend list web -o json | jq -r '.[] | select(.state == "drain").name'
        """)
    @Argument(help: "Only the backends of this pool.") var pool: String?
    @OptionGroup var list: ListOptions

    func run() async throws {
      let path = pool.map { "/v1/pools/\(escaped($0))/backends" } ?? "/v1/backends"
      try await list.show(path, as: BackendRow.self, Rendering.backends)
    }
  }

  struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Send no new flows to a backend; existing flows continue.",
      discussion: """
        When the command returns, the new forwarding table is in force and the backend gets no new flows. `undrain` \
        ends the drain.

        With --wait, the command returns when the drain is over: the backend has no flow left, and no new one was seen \
        for --quiet. It therefore waits at least --quiet, even if the backend has no flow.

        It also returns, with exit code 0, when all flows that are left are silent: they had no packet for --silent. \
        The balancer cannot know whether such a flow ended without a FIN, moved to another balancer, or is an idle \
        connection. An idle connection (SSH, WebSocket, a database pool) breaks if the backend is then stopped. To keep \
        it, give a --silent and a --quiet of at least twice the interval of its keepalives.

        "At least n flows" counts the entries of the flow table. A flow without an entry is counted when its next \
        packet arrives; "last new" is the time since that last happened.

        Ctrl-C and --timeout (exit code 75) end the waiting, not the drain.

        EXAMPLES
          sluice backend drain web/web2 --reason "kernel update"
          sluice backend drain web/web2 --wait --timeout 1h && ssh web2 reboot
          sluice backend drain web/web2 --wait --timeout 3h --silent 2h --quiet 10m && ssh web2 reboot
          sluice backend drain web/web2 --wait -o json | jq .flows
        """)
    @Flag(help: "Wait until the drain is over, and show its progress.") var wait = false
    @Option(help: "How long to wait, such as 90s, 10m, 2h.") var timeout = Seconds(600)
    @Option(
      help: "The drain is over when no new flow was seen for this long. Default: the pool's drain.quiet.")
    var quiet: Seconds?
    @Option(help: "Do not wait for flows that had no packet for this long.") var silent = Seconds(300)
    @OptionGroup var change: BackendOptions
    @OptionGroup var force: ForceOptions

    func validate() throws {
      guard !wait || !change.isDryRun else {
        throw ValidationError("--dry-run changes nothing: there is nothing to --wait for")
      }
    }

    func run() async throws {
      var notSaved: ExitCode?
      do {
        try await change.patch(
          BackendChange(state: "drain", reason: change.reason), force.parameters, compact: wait)
      } catch let code as ExitCode where wait && code == AnswerOptions.notSaved {
        // The drain is under way; how it ends comes first.
        notSaved = code
      }
      guard wait else { return }
      let watch = DrainWatch(
        name: change.name, client: change.answer.daemon.client, output: change.answer.output, quiet: quiet,
        silent: silent, timeout: timeout)
      try await reportingFailure { try await watch.run() }
      if let notSaved { throw notSaved }
    }
  }

  struct Undrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "End drain or maint: send new flows to a backend again.",
      discussion: "EXAMPLE\n  sluice backend undrain web/web2")
    @OptionGroup var change: BackendOptions

    func run() async throws {
      try await change.patch(BackendChange(state: "ready", reason: change.reason))
    }
  }

  struct Maint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a backend out of use at once.",
      discussion: """
        The backend gets no packets. Its connections move to other backends and break; services with on_gone: reset \
        send the clients a RST at once. `undrain` ends maint.

        EXAMPLE
          sluice backend maint web/web2 --yes --reason "disk failure"
        """)
    @OptionGroup var change: BackendOptions
    @OptionGroup var force: ForceOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func run() async throws {
      if !change.isDryRun { try confirmation.confirm("Cut off the connections of \(change.name)?") }
      try await change.patch(BackendChange(state: "maint", reason: change.reason), force.parameters)
    }
  }
}

/// A change of one backend.
struct BackendOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The backend, such as web/web2.", valueName: "pool/backend"),
    transform: BackendName.init)
  var name: BackendName
  @Option(help: "The reason for the change; it is kept and shown with it.") var reason: String?
  @Flag(
    help:
      "Refuse a change that the daemon cannot save. Without this flag it is made, and the exit code is 74.")
  var requireSaved = false
  @OptionGroup var dryRun: DryRunOptions
  @OptionGroup var answer: AnswerOptions

  var isDryRun: Bool { dryRun.dryRun }

  /// - Parameter compact: JSON in one line, as others follow.
  func patch(
    _ body: BackendChange, _ parameters: [(name: String, value: String)] = [], compact: Bool = false
  ) async throws {
    try await send(.PATCH, parameters, body: body, compact: compact)
  }

  func send(
    _ method: HTTPMethod, _ parameters: [(name: String, value: String)] = [], body: (any Encodable)? = nil,
    compact: Bool = false
  ) async throws {
    let required = requireSaved ? [(name: "require_saved", value: "1")] : []
    try await answer.showChange(
      method, dryRun.path(name.path, parameters + required), body: body, compact: compact)
  }
}
