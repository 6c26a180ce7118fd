// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Foundation
internal import LoadBalancing

@main
struct Main {
  static func main() async {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if let complaint = Suggestion.complaint(about: arguments, to: Sluice.self) {
      complain(complaint)
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
        sluice config check && sluice config reload --wait

      EXIT CODES
        0   done
        1   refused or failed by the daemon
        64  wrong usage
        65  configuration invalid
        69  daemon unreachable
        75  timed out
        77  not permitted to use the socket

      ENVIRONMENT
        SLUICE_SOCKET  the daemon's control socket
      """, version: "0.1.0",
    subcommands: [
      StatusCommand.self, ServiceCommand.self, PoolCommand.self, BackendCommand.self, ConfigCommand.self,
      MetricsCommand.self, DetachCommand.self, APICommand.self,
    ])
}

/// ArgumentParser answers a mistyped subcommand with "unexpected arguments"; the nearest one is more help.
enum Suggestion {
  static func complaint(about arguments: [String], to root: any ParsableCommand.Type) -> String? {
    var command = root
    var path = [root.configuration.commandName ?? ""]
    for word in arguments {
      let names = command.configuration.subcommands.map(name)
      guard !names.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
      guard let index = names.firstIndex(of: word) else {
        let guess = nearestMatch(to: word, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
        return
          "\(path.joined(separator: " ")) has no subcommand \"\(word)\"\(guess) (there are: \(names.joined(separator: ", ")))"
      }
      command = command.configuration.subcommands[index]
      path.append(word)
    }
    return nil
  }

  private static func name(of command: any ParsableCommand.Type) -> String {
    command.configuration.commandName ?? "\(command)".lowercased()
  }
}
