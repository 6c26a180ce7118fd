// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import Foundation
internal import NIOHTTP1

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}

/// The address of the daemon.
struct DaemonOptions: ParsableArguments {
  @Option(help: "The daemon's control socket. Environment: SLUICE_SOCKET.")
  var socket = ProcessInfo.processInfo.environment["SLUICE_SOCKET"] ?? "/run/sluice/control.sock"

  var client: ControlClient { ControlClient(socket: socket) }

  /// Sends a request and writes the octets of the answer unchanged.
  func copy(_ method: HTTPMethod, _ path: String) async throws {
    try await reportingFailure {
      try write(try await client.send(method, path))
    }
  }
}

/// How answers are printed.
struct AnswerOptions: ParsableArguments {
  @OptionGroup var daemon: DaemonOptions

  @Option(name: [.short, .long], help: "table or json; json is exactly what the API answers.")
  var output = OutputFormat.table

  /// Sends a request and prints the answer in the chosen format; JSON in many lines, or `compact` in one. JSON keeps
  /// the daemon's text, so nothing is lost. `seeing` gets the decoded answer.
  /// - Parameter client: nil: one with the usual timeouts.
  func show<Answer: Decodable>(
    _ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil, by client: ControlClient? = nil,
    as type: Answer.Type, compact: Bool = false, seeing see: ((Answer) -> Void)? = nil,
    _ render: (Answer) -> String
  ) async throws {
    try await reportingFailure {
      let octets = try await (client ?? daemon.client).send(method, path, body: body)
      if let see { see(try ControlJSON.decode(type, from: octets)) }
      switch output {
      case .json where compact: try write(octets.last == 0x0a ? octets : octets + [0x0a])
      case .json: try write(indentedJSON(octets))
      case .table: try write(visible(render(try ControlJSON.decode(type, from: octets)), keeping: "\n"))
      }
    }
  }
}

extension AnswerOptions {
  /// A change is in force and not saved: EX_IOERR.
  static let notSaved = ExitCode(74)

  /// The exit code of a reload that is done, while keys of the file wait for a restart.
  static let restartRequired = ExitCode(3)

  /// Sends a change and prints its effect.
  /// - Throws: ``notSaved`` if the daemon could not save it, ``restartRequired`` if keys wait for a restart.
  func showChange(
    _ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil, compact: Bool = false
  ) async throws {
    var trouble: String?
    var waiting: [String] = []
    try await show(
      method, path, body: body, as: ChangeReply.self, compact: compact,
      seeing: { (trouble, waiting) = ($0.notSaved, $0.restartRequired) }, Rendering.effect)
    guard let trouble else {
      if !waiting.isEmpty { throw Self.restartRequired }
      return
    }
    complain(
      visible("warning: in force, but not saved: a restart of the daemon would forget it: \(trouble)"))
    throw Self.notSaved
  }
}

/// Options of lists.
struct ListOptions: ParsableArguments {
  @OptionGroup var answer: AnswerOptions

  @Flag(help: "Tables without their first line.")
  var noHeaders = false

  func show<Row: Decodable>(
    _ path: String, as type: Row.Type, _ render: ([Row], _ headers: Bool) -> String
  ) async throws {
    try await answer.show(.GET, path, as: [Row].self) { render($0, !noHeaders) }
  }
}

/// Options of every change.
struct DryRunOptions: ParsableArguments {
  @Flag(help: "Show what would happen, and change nothing.")
  var dryRun = false

  /// A path with the parameters of a change.
  func path(_ path: String, _ parameters: [(name: String, value: String)] = []) -> String {
    let all = parameters + (dryRun ? [("dry_run", "1")] : [])
    return all.isEmpty ? path : path + "?" + all.map { "\($0)=\(escaped($1))" }.joined(separator: "&")
  }
}

/// Options of changes that the daemon may refuse.
struct ForceOptions: ParsableArguments {
  @Flag(help: "Make the change even if it leaves fewer backends than `require`, or breaks connections.")
  var force = false

  var parameters: [(name: String, value: String)] { force ? [("force", "1")] : [] }
}

/// Options of changes that break connections.
struct ConfirmationOptions: ParsableArguments {
  @Flag(help: "Do not ask. Nothing is asked where the input is not a terminal.")
  var yes = false

  func confirm(_ question: String) throws {
    guard !yes, isatty(STDIN_FILENO) == 1 else { return }
    inform("\(question) [y/N] ")
    guard readLine()?.lowercased().hasPrefix("y") == true else {
      complain("nothing was changed")
      throw ExitCode(1)
    }
  }
}

/// Text as one part of a path or query.
func escaped(_ text: String) -> String {
  let unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
  return text.addingPercentEncoding(withAllowedCharacters: CharacterSet(charactersIn: unreserved)) ?? text
}

/// Failures become a message on stderr and the documented exit code.
func reportingFailure(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let failure as Failure {
    for diagnostic in failure.diagnostics { inform(visible(diagnostic, keeping: "\n") + "\n") }
    complain(visible(failure.message, keeping: "\n"))
    for line in failure.effect { inform(visible("  \(line)") + "\n") }
    throw ExitCode(failure.exitCode)
  } catch let error as DecodingError {
    complain("the daemon's answer does not fit this version of sluice: \(error)")
    throw ExitCode(1)
  }
}
