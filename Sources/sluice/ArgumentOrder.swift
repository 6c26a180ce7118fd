// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// ArgumentParser takes a subcommand's options after the subcommand only; people write `sluice --socket X status` too.
enum ArgumentOrder {
  /// Options of many commands that take a value.
  private static let valued: Set = ["--socket", "--output", "-o"]

  /// The arguments with what stands before the subcommand behind it. Unchanged where no subcommand follows.
  static func withOptionsLast(_ arguments: [String], of root: any ParsableCommand.Type) -> [String] {
    var command = root
    var (path, options): ([String], [String]) = ([], [])
    var rest = arguments[...]
    while !command.configuration.subcommands.isEmpty, let word = rest.first {
      if word.hasPrefix("-") {
        guard !["-h", "--help", "--version", "--"].contains(word) else { return arguments }
        let count = valued.contains(word) ? 2 : 1
        options += rest.prefix(count)
        rest = rest.dropFirst(count)
      } else {
        guard let next = command.configuration.subcommands.first(where: { $0.commandWord == word }) else {
          return arguments
        }
        path.append(word)
        rest = rest.dropFirst()
        command = next
      }
    }
    return path + options + rest
  }
}

extension ParsableCommand {
  /// How it is called on the command line.
  static var commandWord: String { configuration.commandName ?? "\(self)".lowercased() }
}
