// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import Foundation

@main
struct Main {
  static func main() async {
    let arguments = ArgumentOrder.withOptionsLast(Array(CommandLine.arguments.dropFirst()), of: Sluice.self)
    if let complaint = Suggestion.complaint(about: arguments, to: Sluice.self) {
      complain(visible(complaint))
      exit(64)
    }
    await Sluice.main(arguments)
  }
}

struct Sluice: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice", abstract: "Operates the layer-4 load balancer sluiced.",
    discussion: """
      EXAMPLES
        sluice status
        sluice backend list web
        sluice backend drain web/web2 --reason "kernel update"
        sluice check run web/web2
        sluice config check && sluice config reload

      EXIT CODES
        0   done
        1   refused or failed by the daemon
        3   reloaded, and some keys need a restart of the daemon (74 where that applies too)
        64  wrong usage
        65  configuration invalid
        69  daemon unreachable
        74  a change is in force and could not be saved
        75  timed out
        77  not permitted to use the socket
        130 interrupted in `backend drain --wait`

      ENVIRONMENT
        SLUICE_SOCKET  the daemon's control socket
      """, version: Version.current,
    subcommands: [
      StatusCommand.self, ServiceCommand.self, PoolCommand.self, BackendCommand.self, CheckCommand.self,
      ConfigCommand.self, EventsCommand.self, MetricsCommand.self, DetachCommand.self, AttachCommand.self,
      APICommand.self,
    ])
}
