// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOHTTP1

extension BackendCommand {
  struct AddBackend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "add", abstract: "Add a backend at run time.",
      discussion: """
        It stays over reloads and restarts until `remove`, and shows as drift against the configuration.

        EXAMPLES
          sluice backend add web/web4 --address 10.0.0.14 --dry-run
          sluice backend add web/web4 --address 10.0.0.14 --weight 10 --state drain
        """)
    @Option(help: "IPv4 or IPv6.") var address: String
    @Option(help: "0 to 65535, share of new flows relative to the others; 100 where it is not said.")
    var weight: Int?
    @Option(help: "ready, drain or maint; ready where it is not said.") var state: String?
    @OptionGroup var change: BackendOptions

    func run() async throws {
      let addition = BackendAddition(address: address, weight: weight, state: state, reason: change.reason)
      try await change.send(.POST, body: addition)
    }
  }

  struct RemoveBackend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "remove", abstract: "Take a backend out of its pool.",
      discussion: """
        Refused while it may have live flows: let them end with `drain --wait`, or cut them off with --force.

        EXAMPLES
          sluice backend drain web/web4 --wait && sluice backend remove web/web4
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
    @Option(help: "0 to 65535, relative to the other backends.") var weight: Int
    @OptionGroup var change: BackendOptions
    @OptionGroup var force: ForceOptions

    func run() async throws {
      try await change.patch(BackendChange(weight: weight, reason: change.reason), force.parameters)
    }
  }
}
