// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import LoadBalancing

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check everything on this host that packets from a balancer depend on.",
    discussion: """
      The exit code is 1 if a check fails; a warning is no failure. Changes nothing.

      EXAMPLES
        sluice-backend doctor --interface eth0
        sluice-backend doctor --interface eth0 --port 80,443 -o json
        sluice-backend doctor --interface eth0 --port 53/udp,53/tcp
      """)

  @OptionGroup var options: InterfaceOptions

  @Option(
    help: ArgumentHelp(
      "Ports that something must listen on: 53/tcp, 53/udp, or 53 for either. (default: any one)",
      valueName: "port,..."))
  var port: [CommaSeparated<DoctorPort>] = []

  @Option(name: .shortAndLong, help: "table or json.")
  var output: OutputFormat = .table

  func run() throws {
    let checks = try Examination(options, ports: port.merged()).checks()
    switch output {
    case .json: print(try json(checks))
    case .table: print(checks.map(\.text).joined(separator: "\n"))
    }
    if checks.contains(where: { $0.result == .fail }) { throw ExitCode(1) }
  }
}

/// A port of TCP, of UDP, or of either.
struct DoctorPort: Hashable, Comparable, LosslessStringConvertible {
  let number: UInt16
  /// nil: either.
  let transport: TransportProtocol?

  init(number: UInt16, transport: TransportProtocol?) {
    self.number = number
    self.transport = transport
  }

  /// `80`, `80/tcp` or `80/udp`
  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let number = UInt16(parts[0]), number > 0 else { return nil }
    guard parts.count == 2 else {
      self.init(number: number, transport: nil)
      return
    }
    guard let transport = [TransportProtocol.tcp, .udp].first(where: { $0.name == parts[1] }) else {
      return nil
    }
    self.init(number: number, transport: transport)
  }

  var description: String { "\(number)" + (transport.map { "/\($0.name)" } ?? "") }

  static func < (left: DoctorPort, right: DoctorPort) -> Bool {
    (left.number, left.transport?.name ?? "") < (right.number, right.transport?.name ?? "")
  }

  func accepts(_ listener: Listener) -> Bool {
    listener.port == number && (transport == nil || transport == listener.transport)
  }
}

/// The result of one check.
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
  /// A command, or what to do; `nil` if the check passed.
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
