// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import BPF
internal import CForwardingABI
internal import FoundationEssentials
internal import LoadBalancing
internal import Netlink

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is decapsulated, and what became of the packets.",
    discussion: """
      EXAMPLES
        sluice-backend status --interface eth0
        sluice-backend status --interface eth0 -o json | jq '.verdicts[] | select(.packets > 0)'
      """)

  @OptionGroup var place: Place

  @Option(name: .shortAndLong, help: "table or json.")
  var output: OutputFormat = .table

  func run() throws {
    let report = try Report(place)
    switch output {
    case .json: print(try json(report))
    case .table: print(report.table)
    }
  }
}

extension Status {
  struct Report: Encodable {
    let interface: String
    let mode: AttachMode
    let attached: Bool
    let tunnelAddresses: [String]
    let vips: [String]
    let allow: [String]
    let verdicts: [VerdictCount]

    init(_ place: Place) throws {
      guard let record = try HostRecord.read(place.record),
        let decapsulation = try Decapsulation.pinned(in: place.pins(record))
      else {
        throw Failure(
          "\(place.interface) does not decapsulate",
          cure: "Bring it up: sluice-backend up --interface \(place.interface) --vip ADDRESS --allow PREFIX")
      }
      var host = try Host()
      let link = try host.interface(place.interface)
      let lists = try decapsulation.lists()
      interface = place.interface
      mode = record.mode
      attached = try decapsulation.isAttached(interfaceIndex: link.index, mode: record.mode)
      tunnelAddresses = lists.tunnelAddresses.map(\.description)
      vips = lists.vips.map(\.description)
      allow = lists.sources.map(\.description)
      verdicts = try decapsulation.verdictCounts()
    }

    var table: String {
      let width = verdicts.map(\.verdict.count).max() ?? 0
      return """
        Interface         \(interface), \(attached ? "attached" : "NOT ATTACHED") (\(mode.rawValue))
        VIPs              \(vips.joined(separator: ", "))
        Tunnel addresses  \(tunnelAddresses.joined(separator: ", "))
        Allowed sources   \(allow.joined(separator: ", "))

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
  func verdictCounts() throws(BPFError) -> [VerdictCount] {
    let counters = try verdicts.lookupAll()
    return decapsulation_verdict.all.map { verdict in
      let perCPU = Int(verdict.rawValue) < counters.count ? counters[Int(verdict.rawValue)] : []
      return VerdictCount(
        verdict: verdict.name, packets: perCPU.reduce(0) { $0 + $1.packets },
        bytes: perCPU.reduce(0) { $0 + $1.bytes })
    }
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}

/// Text for people and `jq`: stable order of keys.
func json(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  encoder.keyEncodingStrategy = .convertToSnakeCase
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}
