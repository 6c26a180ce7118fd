// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// Rows of the fault catalogue that packets can be tested for; docs/packets.md has the decision on each.
enum CatalogueRow: String, CaseIterable {
  case p1 = "P1"
  case p2 = "P2"
  case p3 = "P3"
  case p4 = "P4"
  case p5 = "P5"
  case p6 = "P6"
  case p7 = "P7"
  case p8 = "P8"
  case p9 = "P9"
  case p10 = "P10"
  case p11 = "P11"
  case p12 = "P12"
  case p13 = "P13"
  case p14 = "P14"
  case p15 = "P15"
  case p16 = "P16"
  case p17 = "P17"
  case p18 = "P18"
  case p19 = "P19"
  case p20 = "P20"
  case p21 = "P21"
  case p22 = "P22"
  case m4 = "M4"
  /// No fault: what a balancer is for.
  case plain = "OK"
}

/// A packet, and what must become of it.
struct PacketCase: Sendable, CustomTestStringConvertible {
  let row: CatalogueRow
  let name: String
  let packet: Packet
  let expectation: Expectation

  var testDescription: String { "\(row.rawValue) \(name)" }

  init(_ row: CatalogueRow, _ name: String, _ packet: Packet, _ expectation: Expectation) {
    self.row = row
    self.name = name
    self.packet = packet
    self.expectation = expectation
  }
}

enum Expectation: Sendable {
  /// To the kernel's stack, without a changed octet.
  case passed(verdict)
  case dropped(verdict)
  /// Encapsulated towards a backend. `flow`: of an ICMP error, the flow that it speaks of.
  case forwarded(UInt32, flow: Flow? = nil)
  /// Sent back by the balancer itself: exactly this frame.
  case answered(verdict, Packet)
}

extension Expectation {
  static let notOurs = passed(.VERDICT_PASSED_NOT_OURS)
  static let notIP = passed(.VERDICT_PASSED_NOT_IP)
  static let otherHost = passed(.VERDICT_PASSED_OTHER_HOST)
  static let malformed = dropped(.VERDICT_DROPPED_MALFORMED)
  static let truncated = dropped(.VERDICT_DROPPED_TRUNCATED)
  static let fragment = dropped(.VERDICT_DROPPED_FRAGMENT)
  static let martian = dropped(.VERDICT_DROPPED_MARTIAN_SOURCE)
  static let expired = dropped(.VERDICT_DROPPED_TTL_EXPIRED)
  static let unrelated = dropped(.VERDICT_DROPPED_ICMP_UNRELATED)

  var verdict: verdict {
    switch self {
    case .passed(let verdict), .dropped(let verdict), .answered(let verdict, _): verdict
    case .forwarded: .VERDICT_FORWARDED
    }
  }
}

extension PacketCase {
  /// All cases.
  static let all =
    forwarding + encapsulations + headers + fragments + extensionHeaders + transports + sources + framing
    + oversized + echoes
    + errors4 + errors6 + unserved + strangers + invalidState

  /// One case for each family.
  static func both(
    _ row: CatalogueRow, _ name: String, _ packet: (AddressFamily) -> Packet,
    _ expectation: (AddressFamily) -> Expectation
  ) -> [PacketCase] {
    AddressFamily.allCases.map { family in
      PacketCase(row, "\(family): \(name)", packet(family), expectation(family))
    }
  }

  static func both(
    _ row: CatalogueRow, _ name: String, _ packet: (AddressFamily) -> Packet, _ expectation: Expectation
  ) -> [PacketCase] {
    both(row, name, packet) { _ in expectation }
  }
}

extension Packet {
  /// From the client to the VIP, no more said.
  static func toVIP(_ family: AddressFamily, ttl: UInt8 = 64) -> Packet {
    Packet.ethernet().ip(from: family.client, to: family.vip, ttl: ttl)
  }

  /// A first packet for a TCP service.
  static func syn(_ family: AddressFamily, to port: UInt16 = Port.v4, ttl: UInt8 = 64) -> Packet {
    toVIP(family, ttl: ttl).tcp(from: 40000, to: port, flags: .syn)
  }

  /// To a host that is no VIP.
  static func toOtherHost(_ family: AddressFamily) -> Packet {
    Packet.ethernet().ip(from: family.client, to: family.otherHost)
  }
}

extension Scenario {
  /// The frame that a packet must leave as, towards a backend.
  func encapsulated(_ packet: Packet, _ flow: Flow, to backend: TestBackend, frame: Packet) -> [UInt8] {
    encapsulated(packet, entropyFrom: flow.hash(hashKeys), to: backend, frame: frame)
  }

  func encapsulated(
    _ packet: Packet, entropyFrom hash: UInt32, to backend: TestBackend, frame: Packet
  ) -> [UInt8] {
    let inner = packet.withoutEthernet
    let isV4 = inner[0] >> 4 == 4
    let length =
      isV4 ? UInt16(inner[2]) << 8 | UInt16(inner[3]) : 40 + (UInt16(inner[4]) << 8 | UInt16(inner[5]))
    let trafficClass = isV4 ? inner[1] : inner[0] << 4 | inner[1] >> 4
    let source = backend.source(hash: hash)
    let (family, encapsulation): (AddressFamily, _) = (isV4 ? .v4 : .v6, backend.encapsulation)
    if encapsulation == .l2 {
      return Array(frame.bytes.dropLast(2)) + (isV4 ? [0x08, 0x00] : [0x86, 0xdd]) + inner
    }
    let header = encapsulation.header(
      of: family, length: Int(length), sourcePort: TestBackend.sourcePort(hash: hash))
    let carried = length + UInt16(header.count)
    let outer =
      backend.address.family == .v4
      ? frame.ipv4(
        from: source, to: backend.address, trafficClass: trafficClass, id: 0,
        protocol: encapsulation.carrier(of: family), length: 20 + carried)
      : frame.ipv6(
        from: source, to: backend.address, trafficClass: trafficClass,
        flowLabel: TestBackend.flowLabel(hash: hash), next: encapsulation.carrier(of: family),
        payloadLength: carried)
    return outer.octets(header + inner).bytes
  }
}
