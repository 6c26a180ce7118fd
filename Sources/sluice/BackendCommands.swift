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
        When the command returns, no new flow goes there. `undrain` takes it back.

        EXAMPLE
          sluice backend drain web/web2 --reason "kernel update"
        """)
    @OptionGroup var change: BackendOptions

    func run() async throws {
      try await change.patch(BackendChange(state: "drain", reason: change.reason))
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
        Its connections move to other backends and break. `undrain` takes it back.

        EXAMPLE
          sluice backend maint web/web2 --yes --reason "disk failure"
        """)
    @OptionGroup var change: BackendOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func run() async throws {
      if !change.isDryRun { try confirmation.confirm("Cut off the connections of \(change.name)?") }
      try await change.patch(BackendChange(state: "maint", reason: change.reason))
    }
  }
}

/// A change of one backend.
struct BackendOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("Such as web/web2.", valueName: "pool/backend"), transform: BackendName.init)
  var name: BackendName
  @Option(help: "Why; kept and shown with the change.") var reason: String?
  @OptionGroup var dryRun: DryRunOptions
  @OptionGroup var answer: AnswerOptions

  var isDryRun: Bool { dryRun.dryRun }

  func patch(_ body: BackendChange) async throws { try await send(.PATCH, body: body) }

  func send(
    _ method: HTTPMethod, _ parameters: [(name: String, value: String)] = [], body: (any Encodable)? = nil
  ) async throws {
    try await answer.show(
      method, dryRun.path(name.path, parameters), body: body, as: ChangeReply.self, Rendering.effect)
  }
}
