// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI

struct EventsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events", abstract: "What happened: changes, plans, alarms, and who asked for them.",
    discussion: """
      The daemon keeps the latest 4096 since its start. With --follow come only those from now on, until Ctrl-C; \
      --since 0 puts all that there are before them. A restart of the daemon is waited for; its events are numbered \
      from 1 again.

      TYPES
        health, backend, pool, plan, config, interface, alarm, daemon

      EXAMPLES
        sluice events
        sluice events --follow --type backend --type alarm
        sluice events -f --since 0 -o json | jq -c 'select(.by != null)'
      """)
  @Flag(name: [.short, .long], help: "Go on with those to come.") var follow = false
  @Option(help: ArgumentHelp("Only those after this number.", valueName: "seq")) var since: UInt64?
  @Option(
    name: [.short, .customLong("type")],
    help: ArgumentHelp("Only of this type; may be repeated, or have commas.", valueName: "type"))
  var types: [String] = []
  @OptionGroup var answer: AnswerOptions

  func validate() throws {
    // More digits the daemon does not take.
    guard since ?? 0 < 1_000_000_000_000_000_000 else {
      throw ValidationError("--since is not the number of an event")
    }
  }

  func run() async throws {
    try await reportingFailure {
      let client = answer.daemon.client
      let path = EventPath(since: since, types: types)
      if follow {
        var watch = EventWatch(client: client, output: answer.output, path: path)
        return try await watch.run()
      }
      let octets = try await client.send(.GET, path.text)
      switch answer.output {
      case .json: try write(octets)
      case .table:
        for line in octets.split(separator: 0x0a) {
          try write(visible(Rendering.event(try ControlJSON.decode(Event.self, from: Array(line)))))
        }
      }
    }
  }
}

/// The path that asks for events.
struct EventPath {
  var since: UInt64?
  var types: [String]
  var follows = false

  var text: String {
    let parameters =
      (follows ? ["follow=1"] : []) + (since.map { ["since=\($0)"] } ?? [])
      + types.map { "type=\(escaped($0))" }
    return "/v1/events" + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
  }
}

extension Rendering {
  /// One line: time, type, object, change, the user who caused it and the reason.
  static func event(_ event: Event) -> String {
    guard event.type != "gap" else {
      return
        "\(event.time)  gap        \(event.lost ?? 0) events are lost: they came faster than they were read"
    }
    let change = [event.old, event.new].compactMap(\.self).joined(separator: " -> ")
    let by = event.by.map { ", by \($0)" } ?? ""
    let reason = event.reason.map { ": \($0)" } ?? ""
    return [event.time, padded(event.type, 9), padded(event.object, 16), change + by + reason]
      .joined(separator: "  ")
  }

  private static func padded(_ text: String, _ columns: Int) -> String {
    text + String(repeating: " ", count: max(columns - displayWidth(text), 0))
  }
}
