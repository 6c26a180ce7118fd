// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import LoadBalancing

/// ArgumentParser answers a mistyped subcommand with "unexpected arguments"; the nearest one is more help.
enum Suggestion {
  /// What is wrong with the subcommands that the arguments name; nil where they exist.
  static func complaint(about arguments: [String], to root: any ParsableCommand.Type) -> String? {
    var command = root
    var path = [root.commandWord]
    for word in arguments {
      let names = command.configuration.subcommands.map { $0.commandWord }
      guard !names.isEmpty, !word.hasPrefix("-"), word != "help" else { return nil }
      guard let index = names.firstIndex(of: word) else {
        let guess = nearestMatch(to: word, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
        let known = names.joined(separator: ", ")
        return "\(path.joined(separator: " ")) has no subcommand \"\(word)\"\(guess) (there are: \(known))"
      }
      command = command.configuration.subcommands[index]
      path.append(word)
    }
    return nil
  }
}
