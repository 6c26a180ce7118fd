// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import BPF
internal import CForwardingABI
internal import FoundationEssentials
internal import LoadBalancing
internal import Netlink

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show VIPs, allowed sources, and packets by verdict.",
    discussion: """
      Without --interface it shows all interfaces that are up; JSON is then a list.

      EXAMPLES
        sluice-backend status
        sluice-backend status --interface eth0
        sluice-backend status --interface eth0 -o json | jq '.verdicts[] | select(.packets > 0)'
      """)

  @Option(help: ArgumentHelp("The interface to show. (default: all that are up)", valueName: "if"))
  var interface: String?

  @OptionGroup var location: Location

  @Option(name: .shortAndLong, help: "table or json.")
  var output: OutputFormat = .table

  func validate() throws {
    if let interface { try Location.validate(interface: interface) }
    guard interface != nil || location.pinDir == nil else {
      throw ValidationError("--pin-dir: the pins are those of one --interface")
    }
  }

  func run() throws {
    var host = try Host()
    guard let interface else { return try showAll(&host) }
    let record = try HostRecord.read(location.record(of: interface))
    guard let record,
      let decapsulation = try Decapsulation.pinned(in: location.pins(of: interface, record))
    else {
      throw Failure(
        "\(interface) does not decapsulate",
        cure: "Bring it up: sluice-backend up --interface \(interface) --vip ADDRESS --allow PREFIX")
    }
    let report = try Report(record, decapsulation, try host.interface(interface))
    switch output {
    case .json: print(try json(report))
    case .table: print(report.table)
    }
  }

  private func showAll(_ host: inout Host) throws {
    var reports: [Report] = []
    for record in try RunDirectory.records(in: location.runDir) {
      reports.append(
        try Report(
          record, try Decapsulation.pinned(in: record.pins), try? host.interface(record.interface)))
    }
    guard !reports.isEmpty else {
      throw Failure(
        "no interface of this host decapsulates",
        cure: "Bring one up: sluice-backend up --interface IF --vip ADDRESS --allow PREFIX")
    }
    switch output {
    case .json: print(try json(reports))
    case .table: print(reports.map(\.table).joined(separator: "\n\n"))
    }
  }
}

extension Status {
  struct Report: Encodable {
    let interface: String
    let mode: DecapsulationMode
    let attached: Bool
    let tunnelAddresses: [String]
    let vips: [String]
    let allow: [String]
    let encapsulations: [String]
    /// nil: the MSS is not lowered.
    let mss: MSSClamp.Report?
    let verdicts: [DecapsulationCount]

    /// - Parameters:
    ///   - decapsulation: nil if its pins are gone.
    ///   - link: nil if the interface is gone.
    init(_ record: HostRecord, _ decapsulation: Decapsulation?, _ link: Link?) throws {
      let lists = try decapsulation?.lists()
      interface = record.interface
      mode = record.mode
      attached =
        if let decapsulation, let link {
          try decapsulation.isAttached(interfaceIndex: link.index, mode: record.mode)
        } else { false }
      tunnelAddresses = lists?.tunnelAddresses.map(\.description) ?? []
      vips = lists?.vips.map(\.description) ?? []
      allow = lists?.sources.map(\.description) ?? []
      encapsulations = lists?.formats.names ?? []
      mss = try MSSClamp.pinned(in: record.pins)?.report(interfaceIndex: link?.index)
      verdicts = try decapsulation?.verdictCounts() ?? []
    }

    var table: String {
      let width = verdicts.map(\.verdict.count).max() ?? 0
      return """
        Interface         \(interface), \(attached ? "attached" : "NOT ATTACHED") (\(mode.rawValue))
        VIPs              \(vips.joined(separator: ", "))
        Tunnel addresses  \(tunnelAddresses.joined(separator: ", "))
        Allowed sources   \(allow.joined(separator: ", "))
        Encapsulations    \(encapsulations.joined(separator: ", "))
        MSS for VIPs      \(mss?.description ?? "not lowered")

        \("VERDICT".padded(to: width))  \("PACKETS".leftPadded(to: 14))  \("BYTES".leftPadded(to: 18))

        """
          + verdicts.map { count in
            let packets = String(count.packets).leftPadded(to: 14)
            let bytes = String(count.bytes).leftPadded(to: 18)
            return "\(count.verdict.padded(to: width))  \(packets)  \(bytes)"
          }.joined(separator: "\n")
    }
  }
}

extension Decapsulation {
  /// One for each verdict, in the ABI's order, summed over the CPUs.
  func verdictCounts() throws(BPFError) -> [DecapsulationCount] {
    let counters = try verdicts.lookupAll()
    return decapsulation_verdict.all.map { verdict in
      let perCPU = Int(verdict.rawValue) < counters.count ? counters[Int(verdict.rawValue)] : []
      return DecapsulationCount(
        verdict: verdict.name, packets: perCPU.reduce(0) { $0 + $1.packets },
        bytes: perCPU.reduce(0) { $0 + $1.bytes })
    }
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

/// Indented JSON with sorted keys.
func json(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  encoder.keyEncodingStrategy = .convertToSnakeCase
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}
