// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOHTTP1

struct BackendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backend", abstract: "Backends: list, add, remove, weigh, drain.",
    discussion: """
      EXAMPLES
        sluice backend list web
        sluice backend drain web/web2 --reason "kernel update"
        sluice backend set web/web2 --weight 50 --dry-run
        sluice backend add web/web4 --address 10.0.0.14
      """,
    subcommands: [List.self, Add.self, Remove.self, Set.self, Drain.self, Undrain.self, Maint.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Backends with state, share of new flows and next hop.")
    @Argument(help: "Only this pool's.") var pool: String?
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      let path = pool.map { "/v1/pools/\(escaped($0))/backends" } ?? "/v1/backends"
      try await daemon.show(.GET, path, as: [BackendRow].self) {
        Rendering.backends($0, headers: !daemon.noHeaders)
      }
    }
  }

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Add a backend at run time.",
      discussion: "It stays over reloads and restarts, and shows as drift against the configuration.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @Option(help: "IPv4 or IPv6.") var address: String
    @Option(help: "Share of new flows relative to the others; 100 where it is not said.") var weight: Int?
    @Option(help: "ready, drain or maint.") var state: String?
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      let body = BackendAddition(address: address, weight: weight, state: state, reason: change.reason)
      try await daemon.show(.POST, change.path(name.path), body: body, as: ChangeReply.self, Rendering.effect)
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a backend out of its pool.",
      discussion: "It gets no new flows; its old ones end in peace, unless --force cuts them off.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @Flag(help: "Cut off its flows now.") var force = false
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      if !change.dryRun { try confirm("Remove \(name.description)?", yes: yes) }
      let parameters =
        (force ? [("force", "1")] : []) + (change.reason.map { [("reason", $0)] } ?? [])
      try await daemon.show(
        .DELETE, change.path(name.path, parameters), as: ChangeReply.self, Rendering.effect)
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Change a backend's weight.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @Option(help: "0 to 65535, relative to the other backends.") var weight: Int
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.patch(name, BackendChange(weight: weight, reason: change.reason), change)
    }
  }

  struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "No new flows; the old ones live on.",
      discussion: "When the command returns, no new flow goes there. `undrain` takes it back.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.patch(name, BackendChange(state: "drain", reason: change.reason), change)
    }
  }

  struct Undrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Back from drain or maint: new flows again.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.patch(name, BackendChange(state: "ready", reason: change.reason), change)
    }
  }

  struct Maint: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Out at once: no packets at all.",
      discussion: "Its connections move to other backends and break.")
    @Argument(help: "POOL/BACKEND") var name: BackendName
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var change: ChangeOptions
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      if !change.dryRun { try confirm("Cut off the connections of \(name.description)?", yes: yes) }
      try await daemon.patch(name, BackendChange(state: "maint", reason: change.reason), change)
    }
  }
}

extension DaemonOptions {
  fileprivate func patch(_ name: BackendName, _ body: BackendChange, _ change: ChangeOptions) async throws {
    try await show(.PATCH, change.path(name.path), body: body, as: ChangeReply.self, Rendering.effect)
  }
}
