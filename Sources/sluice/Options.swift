// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import Foundation
internal import NIOHTTP1

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}

/// Where the daemon is, and how answers are shown.
struct DaemonOptions: ParsableArguments {
  @Option(help: "The daemon's control socket. Environment: SLUICE_SOCKET.")
  var socket = ProcessInfo.processInfo.environment["SLUICE_SOCKET"] ?? "/run/sluice/control.sock"

  @Option(name: [.short, .long], help: "table or json; json is exactly what the API answers.")
  var output = OutputFormat.table

  @Flag(help: "Tables without their first line.")
  var noHeaders = false

  var client: ControlClient { ControlClient(socket: socket) }

  /// Asks, and shows the answer as it is wanted.
  func show<Answer: Codable>(
    _ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil, as type: Answer.Type,
    _ render: (Answer) -> String
  ) async throws {
    try await reportingFailure {
      let answer = try await client.send(method, path, body: body, as: type)
      switch output {
      case .json: print(String(decoding: try ControlJSON.encode(answer, pretty: true), as: UTF8.self))
      case .table: print(render(answer))
      }
    }
  }
}

/// What every change takes.
struct ChangeOptions: ParsableArguments {
  @Flag(help: "Show what would happen, and change nothing.")
  var dryRun = false

  @Option(help: "Why; kept and shown with the change.")
  var reason: String?

  func path(_ path: String, _ parameters: [(String, String)] = []) -> String {
    let all = parameters + (dryRun ? [("dry_run", "1")] : [])
    return all.isEmpty ? path : path + "?" + all.map { "\($0)=\(escaped($1))" }.joined(separator: "&")
  }
}

/// `POOL/BACKEND`
struct BackendName: ExpressibleByArgument {
  let pool: String
  let backend: String

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    pool = String(parts[0])
    backend = String(parts[1])
  }

  var path: String { "/v1/pools/\(escaped(pool))/backends/\(escaped(backend))" }
  var description: String { "\(pool)/\(backend)" }
}

/// Text as one part of a path or query.
func escaped(_ text: String) -> String {
  text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(CharacterSet(charactersIn: "-._~")))
    ?? text
}

/// Failures become a message on stderr and the documented exit code.
func reportingFailure(_ body: () async throws -> Void) async throws {
  do {
    try await body()
  } catch let failure as Failure {
    complain(failure.message)
    throw ExitCode(failure.exitCode)
  } catch let error as DecodingError {
    complain("the daemon's answer does not fit this version of sluice: \(error)")
    throw ExitCode(1)
  }
}

func complain(_ message: String) { FileHandle.standardError.write(Data("sluice: \(message)\n".utf8)) }

/// Asks before a change that cuts connections; only where somebody can answer.
func confirm(_ question: String, yes: Bool) throws {
  guard !yes, isatty(STDIN_FILENO) == 1 else { return }
  FileHandle.standardError.write(Data("\(question) [y/N] ".utf8))
  guard readLine()?.lowercased().hasPrefix("y") == true else {
    complain("nothing was changed")
    throw ExitCode(1)
  }
}
