// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check everything that a packet from a balancer meets on this host.",
    discussion: """
      Ends with exit code 1 where a check fails; a warning alone does not. Changes nothing.

      EXAMPLES
        sluice-backend doctor --interface eth0
        sluice-backend doctor --interface eth0 --port 80,443 -o json
      """)

  @OptionGroup var place: Place

  @Option(
    help: ArgumentHelp("Ports that something must listen on. (default: any one)", valueName: "port,..."))
  var port: [CommaSeparated<UInt16>] = []

  @Option(name: .shortAndLong, help: "table or json.")
  var output: OutputFormat = .table

  func run() throws {
    let checks = try Examination(place, ports: port.merged()).checks()
    switch output {
    case .json: print(try json(checks))
    case .table: print(checks.map(\.text).joined(separator: "\n"))
    }
    if checks.contains(where: { $0.result == .fail }) { throw ExitCode(1) }
  }
}

/// One thing that was looked at.
struct Check: Encodable {
  enum Result: String, Encodable {
    case ok = "OK"
    case warn = "WARN"
    case fail = "FAIL"
  }

  let result: Result
  let subject: String
  let observed: String
  let expected: String
  /// A command, or what to do; `nil` where all is well.
  let fix: String?

  init(
    _ subject: String, observed: String, expected: String, unless result: Result, _ isFine: Bool, fix: String
  ) {
    self.result = isFine ? .ok : result
    self.subject = subject
    self.observed = observed
    self.expected = expected
    self.fix = isFine ? nil : fix
  }

  var text: String {
    let line = "\(result.rawValue.padded(to: 4))  \(subject): \(observed)"
    guard let fix else { return line }
    return "\(line)\n      expected: \(expected)\n      fix: \(fix)"
  }
}
