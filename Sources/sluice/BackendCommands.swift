// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOHTTP1

struct BackendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backend", abstract: "Backends: list, add, remove, weigh, drain.",
    discussion: """
      Changes are kept over reloads and restarts, and show as drift in `sluice config diff`.

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
        A "*" behind the state marks what was changed at run time; a line below says by whom and why.

        EXAMPLES
          sluice backend list
          sluice backend list web -o json | jq -r '.[] | select(.state == "drain").name'
        """)
    @Argument(help: "Only this pool's.") var pool: String?
    @OptionGroup var list: ListOptions

    func run() async throws {
      let path = pool.map { "/v1/pools/\(escaped($0))/backends" } ?? "/v1/backends"
      try await list.show(path, as: BackendRow.self, Rendering.backends)
    }
  }

  struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "No new flows; the old ones live on.",
      discussion: """
        When the command returns, the new table is in force: no new flow goes there. With --wait it returns when no \
        flow is left, or only flows that had no packet for --silent: those may have gone to another balancer, or their \
        ends may be gone; the balancer cannot tell which. "At least n flows" are those that the flow table names; the last new one was seen when a flow \
        that it did not name turned up. Ctrl-C and a timeout (exit code 75) end the waiting, not the drain. \
        `undrain` takes it back.

        EXAMPLES
          sluice backend drain web/web2 --reason "kernel update"
          sluice backend drain web/web2 --wait --timeout 1h && ssh web2 reboot
          sluice backend drain web/web2 --wait -o json | jq .flows
        """)
    @Flag(help: "Wait until no flow is left, and tell how far it is.") var wait = false
    @Option(help: "How long to wait, such as 90s, 10m, 2h.") var timeout = Seconds(600)
    @Option(
      help: "Drained is who got no unknown flow for so long; the pool's drain.quiet where it is not said.")
    var quiet: Seconds?
    @Option(help: "Flows without a packet for so long are not waited for.") var silent = Seconds(300)
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
      abstract: "Back from drain or maint: new flows again.",
      discussion: "EXAMPLE\n  sluice backend undrain web/web2")
    @OptionGroup var change: BackendOptions

    func run() async throws {
      try await change.patch(BackendChange(state: "ready", reason: change.reason))
    }
  }

  struct Maint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Out at once: no packets at all.",
      discussion: """
        Its connections move to other backends and break; services with on_gone: reset tell their clients at once. \
        `undrain` takes it back.

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
    help: ArgumentHelp("Such as web/web2.", valueName: "pool/backend"), transform: BackendName.init)
  var name: BackendName
  @Option(help: "Why; kept and shown with the change.") var reason: String?
  @Flag(help: "Refuse a change that the daemon cannot save; without it, it is made and the exit code is 74.")
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
