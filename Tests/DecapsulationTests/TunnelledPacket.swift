// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import TestSupport
import Testing

/// A frame that comes to a backend, and what must become of it.
struct TunnelledPacket: Sendable, CustomTestStringConvertible {
  let name: String
  let frame: Packet
  let verdict: String
  /// Of a decapsulated frame: what the host's stack gets behind the Ethernet header. nil: the packet that was sent.
  let inner: Packet?

  var testDescription: String { name }

  /// - Parameter inner: without a frame.
  init(
    _ name: String, _ inner: Packet, in outer: AddressFamily, by encapsulation: TestEncapsulation = .ipip,
    trafficClass: UInt8 = 0, _ verdict: String, becomes: Packet? = nil
  ) {
    let octets = inner.bytes
    let family: AddressFamily = octets[0] >> 4 == 6 ? .v6 : .v4
    let header = encapsulation.header(of: family, length: octets.count, sourcePort: 50_000)
    self.init(
      "\(name), by \(encapsulation)", header + octets, of: encapsulation.carrier(of: family), in: outer,
      trafficClass: trafficClass, verdict, becomes: becomes ?? inner)
  }

  /// - Parameter payload: what follows the outer IP header.
  init(
    _ name: String, _ payload: [UInt8], of carrier: IPProtocol, in outer: AddressFamily,
    trafficClass: UInt8 = 0,
    _ verdict: String, becomes inner: Packet? = nil
  ) {
    self.name = "\(name), in IP\(outer)"
    self.verdict = verdict
    self.inner = inner
    let start = Packet.ethernet()
    frame =
      (outer == .v4
      ? start.ipv4(from: outer.balancer, to: outer.tunnelEnd, trafficClass: trafficClass, protocol: carrier)
      : start.ipv6(from: outer.balancer, to: outer.tunnelEnd, trafficClass: trafficClass, next: carrier))
      .octets(payload)
  }

  /// The frame that the host's stack gets; nil: none.
  var expectedOutput: [UInt8]? {
    if verdict.hasPrefix("passed") { return frame.bytes }
    guard verdict == "decapsulated", let inner else { return nil }
    let octets = inner.bytes
    return Packet.ethernet(type: octets[0] >> 4 == 6 ? 0x86dd : 0x0800).octets(octets).bytes
  }
}

extension TunnelledPacket {
  static let all: [TunnelledPacket] = AddressFamily.allCases.flatMap { outer in
    AddressFamily.allCases.flatMap { all($0, in: outer) } + echoFragments(in: outer) + headers(in: outer)
  }

  private static func all(_ family: AddressFamily, in outer: AddressFamily) -> [TunnelledPacket] {
    var packets = echoes(family, in: outer)
    for encapsulation in TunnelPort.encapsulations {
      packets += plain(family, in: outer, encapsulation) + refused(family, in: outer, encapsulation)
    }
    return packets
  }

  /// A client's packet to an address.
  private static func to(_ address: IPAddress, trafficClass: UInt8 = 0) -> Packet {
    let family = address.family
    return family == .v4
      ? .bare.ipv4(from: family.client, to: address, trafficClass: trafficClass)
      : .bare.ipv6(from: family.client, to: address, trafficClass: trafficClass)
  }

  private static func plain(
    _ family: AddressFamily, in outer: AddressFamily, _ encapsulation: TestEncapsulation
  ) -> [TunnelledPacket] {
    [
      ("TCP", to(family.vip).tcp(from: 1, to: 80)),
      ("UDP", to(family.vip).udp(from: 1, to: 53).payload(1200)),
      ("an ICMP error", to(family.vip).icmp(type: 3).payload(40)),
      ("ping of the tunnel's end", to(family.tunnelEnd).echoRequest().payload(16)),
    ].map {
      TunnelledPacket("\(family): \($0)", $1, in: outer, by: encapsulation, "decapsulated")
    }
  }

  /// A balancer learns by a ping of the tunnel's end whether tunnels end there. Its ICMP header must be in the packet.
  private static func echoes(_ family: AddressFamily, in outer: AddressFamily) -> [TunnelledPacket] {
    let ping = to(family.tunnelEnd).echoRequest()
    let octets = Array(ping.bytes.suffix(8))
    return [
      TunnelledPacket("\(family): ping of the tunnel's end", ping, in: outer, "decapsulated"),
      TunnelledPacket(
        "\(family): ping of the tunnel's end with a payload", ping.payload(56), in: outer, "decapsulated"),
      TunnelledPacket(
        "\(family): reply to the tunnel's end", to(family.tunnelEnd).echoReply(), in: outer,
        "dropped_unknown_vip"),
      TunnelledPacket(
        "\(family): ping of another host", to(family.otherHost).echoRequest(), in: outer,
        "dropped_unknown_vip"),
    ]
      + (0...8).map { (length: UInt16) in
        let short =
          family == .v4
          ? Packet.bare.ipv4(
            from: family.client, to: family.tunnelEnd, protocol: .icmp, length: 20 + length)
          : .bare.ipv6(from: family.client, to: family.tunnelEnd, next: .icmpv6, payloadLength: length)
        return TunnelledPacket(
          "\(family): ping with \(length) octets of ICMP in the packet, the others behind it",
          short.octets(octets), in: outer, length == 8 ? "decapsulated" : "dropped_unknown_vip")
      }
  }

  /// What a fragment carries is no ICMP header, or not all of a ping.
  private static func echoFragments(in outer: AddressFamily) -> [TunnelledPacket] {
    let family = AddressFamily.v4
    let octets = Array(to(family.tunnelEnd).echoRequest().bytes.suffix(8))
    return [("first", true, 0), ("later", true, 1), ("last", false, 1)].map {
      TunnelledPacket(
        "\(family): \($0) fragment that looks like a ping of the tunnel's end",
        .bare.ipv4(
          from: family.client, to: family.tunnelEnd, dontFragment: false, moreFragments: $1,
          fragmentOffset: UInt16($2), protocol: .icmp
        ).octets(octets), in: outer, "dropped_unknown_vip")
    }
  }

  private static func refused(
    _ family: AddressFamily, in outer: AddressFamily, _ encapsulation: TestEncapsulation
  ) -> [TunnelledPacket] {
    let sources: [(String, IPAddress)] =
      family == .v4
      ? ["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"].map { ($0, ip($0)) }
      : ["::", "::1", "::ffff:192.0.2.7", "ff02::1"].map { ($0, ip($0)) }
    let own = [("the VIP", family.vip), ("the host's own", family.tunnelEnd)]
    return (sources + own).map { name, source in
      TunnelledPacket(
        "\(family): source \(name)", .bare.ip(from: source, to: family.vip).tcp(from: 1, to: 80), in: outer,
        by: encapsulation, "dropped_inner_source")
    } + [
      TunnelledPacket(
        "\(family): TCP to another host", to(family.otherHost).tcp(from: 1, to: 80), in: outer,
        by: encapsulation,
        "dropped_unknown_vip"),
      TunnelledPacket(
        "\(family): GRE",
        family == .v4
          ? .bare.ipv4(from: family.client, to: family.vip, protocol: .gre).payload(8)
          : .bare.ipv6(from: family.client, to: family.vip, next: .gre).payload(8),
        in: outer, by: encapsulation, "dropped_inner_protocol"),
    ]
  }

  /// RFC 6040, section 4.2: the inner field by inner (rows) and outer (columns), each Not-ECT, ECT(1), ECT(0), CE.
  private static let merged: [[UInt8?]] = [
    [0, 0, 0, nil], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3],
  ]

  /// ECN of both headers, whole traffic classes otherwise.
  static let congestion: [TunnelledPacket] = TunnelPort.encapsulations.flatMap { encapsulation in
    AddressFamily.allCases.flatMap { outer in
      AddressFamily.allCases.flatMap { congestion($0, in: outer, encapsulation) }
    }
  }

  private static func congestion(
    _ family: AddressFamily, in outer: AddressFamily, _ encapsulation: TestEncapsulation
  ) -> [TunnelledPacket] {
    (0..<16).map { (both: UInt8) in
      let (inside, outside) = (both / 4, both % 4)
      func packet(_ ecn: UInt8) -> Packet {
        to(family.vip, trafficClass: 0xb8 | ecn).tcp(from: 1, to: 80).payload(5)
      }
      let ecn = merged[Int(inside)][Int(outside)]
      return TunnelledPacket(
        "\(family): ECN \(inside) in \(outside)", packet(inside), in: outer, by: encapsulation,
        trafficClass: 0x28 | outside, ecn == nil ? "dropped_congestion" : "decapsulated",
        becomes: packet(ecn ?? inside))
    }
  }
}
