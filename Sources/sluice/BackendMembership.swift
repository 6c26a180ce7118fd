// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import LoadBalancing
internal import NIOHTTP1

/// The weights that a backend may have, for help texts.
private let weights = "\(BackendOverride.weights.lowerBound) to \(BackendOverride.weights.upperBound)"

extension BackendCommand {
  struct AddBackend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "add", abstract: "Add a backend at run time.",
      discussion: """
        The backend stays over reloads and restarts until `remove`. `sluice config diff` lists it as drift.

        EXAMPLES
          sluice backend add web/web4 --address 10.0.0.14 --dry-run
          sluice backend add web/web4 --address 10.0.0.14 --weight 10 --state drain
        """)
    @Option(help: "The IPv4 or IPv6 address of the backend.") var address: String
    @Option(help: "Share of new flows relative to the other backends, \(weights). Default: 100.")
    var weight: Int?
    @Option(help: "ready, drain or maint. Default: ready.") var state: String?
    @OptionGroup var change: BackendOptions

    func run() async throws {
      let addition = BackendAddition(address: address, weight: weight, state: state, reason: change.reason)
      try await change.send(.POST, body: addition)
    }
  }

  struct RemoveBackend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove", abstract: "Remove a backend from its pool.",
      discussion: """
        A backend that may have flows is not removed: the command fails with exit code 1. Either end its flows first \
        with `sluice backend drain POOL/BACKEND --wait`, or break its connections with --force.

        A removal survives reloads and restarts. `sluice config diff` lists it as drift until the configuration no \
        longer has the backend. The command asks before it changes anything, unless --yes is given or the input is not a \
        terminal.

        EXAMPLES
          sluice backend drain web/web4 --wait && sluice backend remove web/web4
          sluice backend remove web/web4 --dry-run
          sluice backend remove web/web4 --force --yes --reason "gone for good"
        """)
    @OptionGroup var force: ForceOptions
    @OptionGroup var change: BackendOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func run() async throws {
      if !change.isDryRun {
        let consequence = force.force ? " and cut off its connections" : ""
        try confirmation.confirm("Remove \(change.name)\(consequence)?")
      }
      try await change.send(
        .DELETE, force.parameters + (change.reason.map { [("reason", $0)] } ?? []))
    }
  }

  struct SetBackend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Change a backend's weight.",
      discussion: """
        EXAMPLES
          sluice backend set web/web2 --weight 50 --dry-run
          sluice backend set web/web2 --weight 50 --reason "slow disk"
        """)
    @Option(help: "Share of new flows relative to the other backends, \(weights).") var weight: Int
    @OptionGroup var change: BackendOptions
    @OptionGroup var force: ForceOptions

    func run() async throws {
      try await change.patch(BackendChange(weight: weight, reason: change.reason), force.parameters)
    }
  }
}
