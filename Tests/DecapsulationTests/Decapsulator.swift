// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport

/// How a decapsulator sees frames.
enum Hook: String, CaseIterable {
  case xdp
  case tc
}

/// Who takes part, by family.
extension AddressFamily {
  /// Of the backend: where its tunnels end.
  var tunnelEnd: IPAddress { self == .v4 ? ip("10.0.0.1") : ip("fd00::1") }
  var balancer: IPAddress { self == .v4 ? ip("10.9.1.1") : ip("fd00:9::1") }
}

/// UDP ports that carry packets.
enum TunnelPort {
  static let gue: UInt16 = 6080
  static let fou: UInt16 = 5555

  static let encapsulations: [TestEncapsulation] = [
    .ipip, .gue(gue), .gueHeader(gue), .fou(fou, fou), .gre,
  ]
}

/// A decapsulator with a VIP, a tunnel address and a balancer of each family, attached to nothing.
final class Decapsulator: @unchecked Sendable {
  private let program: BPFProgram
  private let verdicts: PerCPUMap<UInt32, counter>
  private let passes: UInt32

  /// - Parameter protocols: those of the outer IP header that may carry packets.
  init(_ hook: Hook, protocols: [IPProtocol] = [.ipv4, .ipv6, .udp, .gre]) throws {
    let loaded = try BPFObject.open(tested(hook == .xdp ? .decapsulate_xdp : .decapsulate_tc)).load()
    program = try loaded.program("decapsulate_\(hook)")
    verdicts = try loaded.perCPUMap("verdicts")
    passes = hook == .xdp ? 2 : .max
    let addresses: BPFMap<host_address, UInt32> = try loaded.map("tunnel_addresses")
    let vips: BPFMap<host_address, UInt32> = try loaded.map("vips")
    for family in AddressFamily.allCases {
      try addresses.update(host_address(family.tunnelEnd), to: UInt32(ADDRESS_ENDS_TUNNELS))
      try vips.update(host_address(family.vip), to: 0)
    }
    let sources4: BPFMap<source_prefix4, UInt32> = try loaded.map("sources4")
    let sources6: BPFMap<source_prefix6, UInt32> = try loaded.map("sources6")
    let formats: BPFMap<UInt32, tunnel_formats> = try loaded.map("tunnel_formats")
    try formats.update(0, to: tunnel_formats(protocols: protocols.reduce(0) { $0 | 1 << UInt64($1.number) }))
    let ports: BPFMap<UInt32, UInt32> = try loaded.map("tunnel_ports")
    for (port, carried) in [(TunnelPort.gue, PORT_CARRIES_GUE), (TunnelPort.fou, PORT_CARRIES_IP)] {
      try ports.update(UInt32(port.bigEndian), to: UInt32(carried))
    }
    var (key4, key6) = (source_prefix4(), source_prefix6())
    (key4.length, key6.length) = (32, 128)
    withUnsafeMutableBytes(of: &key4.address) { $0.copyBytes(from: AddressFamily.v4.balancer.octets) }
    withUnsafeMutableBytes(of: &key6.address) { $0.copyBytes(from: AddressFamily.v6.balancer.octets) }
    try sources4.update(key4, to: 0)
    try sources6.update(key6, to: 0)
  }

  struct Outcome {
    /// The frame as the host's stack gets it; nil: it was dropped.
    var output: [UInt8]?
    /// The verdicts that were counted, with the octets of the frames.
    var counted: [String: UInt64]
  }

  func run(_ frame: [UInt8]) throws -> Outcome {
    let before = try counts()
    let run = try program.testRun(input: frame)
    var counted: [String: UInt64] = [:]
    for (name, count) in try counts() where count != before[name]! { counted[name] = count - before[name]! }
    return Outcome(output: run.returnValue == passes ? run.output : nil, counted: counted)
  }

  private func counts() throws -> [String: UInt64] {
    let values = try verdicts.lookupAll()
    let named = (0..<decapsulation_verdict.DECAPSULATION_VERDICT_COUNT.rawValue).map { raw in
      let name = decapsulation_verdict_name(decapsulation_verdict(rawValue: raw)!)!
      return (String(cString: name).lowercased(), values[Int(raw)].reduce(0) { $0 + $1.bytes })
    }
    return Dictionary(uniqueKeysWithValues: named)
  }
}

extension host_address {
  init(_ address: IPAddress) {
    self.init()
    withUnsafeMutableBytes(of: &octets) { $0.copyBytes(from: address.octets) }
    family = address.family == .v4 ? 4 : 6
  }
}
