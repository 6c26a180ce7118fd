// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let client4 = AddressFamily.v4.client
private let vip4 = AddressFamily.v4.vip
private let client6 = AddressFamily.v6.client
private let vip6 = AddressFamily.v6.vip

extension Expectation {
  static let unserved = dropped(.VERDICT_DROPPED_UNSERVED)

  /// A RST from a port of the VIP to the client's port 40000.
  static func refused(
    _ family: AddressFamily, port: UInt16 = Port.unserved, _ flags: TCPFlags, sequence: UInt32 = 0,
    acknowledgement: UInt32 = 0, frame: Packet = .ethernet(to: .router, from: .balancer)
  ) -> Expectation {
    answered(
      .VERDICT_ANSWERED_UNSERVED,
      frame.answer(from: family.vip, to: family.client)
        .tcp(
          from: port, to: 40000, flags: flags, sequence: sequence, acknowledgement: acknowledgement, window: 0
        ))
  }

  /// An ICMP error from the VIP to the client that quotes the packet's IP header and eight octets.
  static func unreachable(
    _ family: AddressFamily, type: UInt8, code: UInt8, rest: UInt32 = 0, quoting packet: Packet
  ) -> Expectation {
    answered(
      .VERDICT_ANSWERED_UNSERVED,
      Packet.ethernet(to: .router, from: .balancer).answer(from: family.vip, to: family.client)
        .icmp(type: type, code: code, rest: rest).quoting(packet, octets: family.headerLength + 8))
  }

  static func portUnreachable(_ family: AddressFamily, quoting packet: Packet) -> Expectation {
    unreachable(family, type: family == .v4 ? 3 : 1, code: family == .v4 ? 3 : 4, quoting: packet)
  }

  /// "Protocol unreachable", or "unrecognized next header" with a pointer to it (RFC 4443 §3.4).
  static func protocolUnreachable(_ family: AddressFamily, quoting packet: Packet) -> Expectation {
    family == .v4
      ? unreachable(family, type: 3, code: 2, quoting: packet)
      : unreachable(family, type: 4, code: 1, rest: 6, quoting: packet)
  }
}

extension PacketCase {
  /// What is for a VIP, and for none of its services.
  static let unserved: [PacketCase] = segments + datagrams + otherProtocols + oddities

  private static let isn: UInt32 = 0x0102_0304
  private static let expected: UInt32 = 0x0a0b_0c0d

  /// RFC 9293 §3.5.2: without ACK, all that was sent is acknowledged; with ACK, the RST has the number expected next.
  private static let segments: [PacketCase] =
    ([
      (.syn, 0, [.rst, .ack], 0, isn + 1), ([], 0, [.rst, .ack], 0, isn),
      (.syn, 100, [.rst, .ack], 0, isn + 101), (.fin, 7, [.rst, .ack], 0, isn + 8),
      ([.syn, .fin], 0, [.rst, .ack], 0, isn + 2), (.ack, 0, .rst, expected, 0),
      ([.ack, .psh], 1200, .rst, expected, 0), ([.syn, .ack], 0, .rst, expected, 0),
      ([.fin, .ack], 0, .rst, expected, 0),
    ] as [(TCPFlags, Int, TCPFlags, UInt32, UInt32)]).flatMap {
      flags, payload, answer, sequence, acknowledgement in
      both(
        .plain, "TCP with flags \(flags.rawValue) and \(payload) octets to a port without service",
        { .toVIP($0).tcp(from: 40000, to: Port.unserved, flags: flags).payload(payload) },
        { .refused($0, answer, sequence: sequence, acknowledgement: acknowledgement) })
    }
    + both(
      .plain, "a segment's number wraps",
      {
        .toVIP($0).tcp(from: 40000, to: Port.unserved, flags: .syn, sequence: .max).payload(3)
      },
      { .refused($0, [.rst, .ack], acknowledgement: 3) })
    + both(
      .plain, "a SYN with options to a port without service",
      { .toVIP($0).tcp(from: 40000, to: Port.unserved, flags: .syn, options: [2, 4, 5, 180]) },
      { .refused($0, [.rst, .ack], acknowledgement: isn + 1) })
    + both(
      .plain, "a SYN in a padded frame to a port without service",
      { .syn($0, to: Port.unserved).trailing([1, 2, 3, 4, 5, 6]) },
      { .refused($0, [.rst, .ack], acknowledgement: isn + 1) })
    + both(
      .plain, "a RST to a port without service",
      { .toVIP($0).tcp(from: 40000, to: Port.unserved, flags: .rst) }, .unserved)
    + both(
      .plain, "a RST with ACK to a port without service",
      { .toVIP($0).tcp(from: 40000, to: Port.unserved, flags: [.rst, .ack]) }, .unserved)
    + both(
      .p13, "a tagged SYN to a port without service",
      {
        Packet.ethernet().vlan(7).ip(from: $0.client, to: $0.vip).tcp(
          from: 40000, to: Port.unserved, flags: .syn)
      },
      {
        .refused(
          $0, [.rst, .ack], acknowledgement: isn + 1,
          frame: .ethernet(to: .router, from: .balancer).vlan(7))
      })
    + both(
      .p9, "destination port 0", { .syn($0, to: 0) },
      { .refused($0, port: 0, [.rst, .ack], acknowledgement: isn + 1) })
    + [
      PacketCase(
        .p7, "v6: options to a port without service",
        Packet.toVIP(.v6).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.unserved), .unserved)
    ]

  private static let datagrams: [PacketCase] =
    [0, 4, 1400].flatMap { count in
      both(
        .plain, "UDP with \(count) octets to a port that only TCP serves",
        { .toVIP($0).udp(from: 40000, to: Port.noBackend).payload(count) },
        {
          .portUnreachable(
            $0, quoting: .toVIP($0).udp(from: 40000, to: Port.noBackend).payload(count))
        })
    }
    + both(
      .p18, "GUE to a VIP", { gue($0) }, { .portUnreachable($0, quoting: gue($0)) })
    + [
      PacketCase(
        .p7, "v6: options and UDP to a port without service",
        Packet.toVIP(.v6).extensionHeader(.hopByHop).udp(from: 40000, to: Port.unserved), .unserved)
    ]

  private static func gue(_ family: AddressFamily) -> Packet {
    Packet.toVIP(family).udp(from: 50000, to: 6080)
      .quoting(.bare.ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.v4, flags: .syn))
  }

  private static func other(_ family: AddressFamily, _ number: IPProtocol) -> Packet {
    family == .v4
      ? Packet.ethernet().ipv4(from: client4, to: vip4, protocol: number)
      : Packet.ethernet().ipv6(from: client6, to: vip6, next: number)
  }

  private static func syn(_ family: AddressFamily) -> Packet {
    .bare.ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.v4, flags: .syn)
  }

  /// Name, protocol, payload of a packet that is no service's, whatever its port.
  private static func strangers(_ family: AddressFamily) -> [(CatalogueRow, String, Packet)] {
    [
      (.plain, "SCTP", other(family, IPProtocol(132)).payload(40)),
      (.p7, "ESP", other(family, .encapsulatedSecurity).payload(64)),
      (.p18, "GRE", other(family, .gre).octets([0, 0, 8, 0]).quoting(syn(family))),
      (.p18, "IPv4 in IP", other(family, .ipv4).quoting(syn(.v4))),
      (.p18, "IPv6 in IP", other(family, .ipv6).quoting(syn(.v6))),
      (.p19, "IP in IP in IP", other(family, .ipv4).ipv4(from: client4, to: vip4).quoting(syn(.v4))),
      (.plain, "eight octets of a protocol", other(family, IPProtocol(253)).payload(8)),
    ]
  }

  private static let otherProtocols: [PacketCase] = AddressFamily.allCases.flatMap { family in
    strangers(family).map { row, name, packet in
      PacketCase(row, "\(family): \(name) to a VIP", packet, .protocolUnreachable(family, quoting: packet))
    }
  }

  private static let oddities: [PacketCase] =
    both(.plain, "too few octets of a protocol to be quoted", { other($0, .gre).payload(7) }, .unserved)
    + both(.p15, "an echo reply to a VIP", { .toVIP($0).echoReply() }, .unserved)
    + [
      PacketCase(.p15, "v4: timestamp request to a VIP", .toVIP(.v4).icmp(type: 13).payload(12), .unserved),
      PacketCase(.p15, "v4: ICMP redirect to a VIP", .toVIP(.v4).icmp(type: 5).payload(28), .unserved),
      PacketCase(
        .p16, "v4: source quench, which is obsolete", .toVIP(.v4).icmp(type: 4).payload(28), .unserved),
      PacketCase(
        .p15, "v6: an ICMPv6 type that nobody knows", .toVIP(.v6).icmp(type: 200).payload(8), .unserved),
      PacketCase(.p7, "v6: no next header", other(.v6, .noNextHeader), .unserved),
      PacketCase(
        .p7, "v6: no next header, and octets behind it", other(.v6, .noNextHeader).payload(20), .unserved),
      PacketCase(
        .p7, "v6: ping behind hop-by-hop options", Packet.toVIP(.v6).extensionHeader(.hopByHop).echoRequest(),
        .unserved),
      PacketCase(
        .p7, "v6: an unknown protocol behind hop-by-hop options",
        Packet.toVIP(.v6).extensionHeader(.hopByHop).payload(64), .unserved),
      PacketCase(
        .p19, "v4: what a balancer sent to a backend that is a VIP comes back and is not encapsulated again",
        balancers4, fromBalancer(.v4, ip("10.9.1.1"), quoting: balancers4)),
      PacketCase(
        .p19, "v6: what a balancer sent to a backend that is a VIP comes back and is not encapsulated again",
        balancers6, fromBalancer(.v6, ip("fd00:9::1"), quoting: balancers6)),
      PacketCase(
        .p4, "v4: length beyond the frame to a port without service",
        .ethernet().ipv4(from: client4, to: vip4, length: 1500).tcp(from: 40000, to: Port.unserved),
        .truncated),
      PacketCase(
        .p4, "v4: GRE longer than its frame",
        .ethernet().ipv4(from: client4, to: vip4, protocol: .gre, length: 1500).payload(40), .truncated),
    ]
    + both(
      .p8, "UDP length 7 to a port without service",
      {
        .toVIP($0).udp(from: 40000, to: Port.unserved, length: 7).payload(40)
      }, .malformed)
    + both(
      .p9, "TCP header of 4 words to a port without service",
      {
        .toVIP($0).tcp(from: 40000, to: Port.unserved, dataOffset: 4)
      }, .malformed)
    + both(
      .p10, "TTL 1 to a port without service", { .syn($0, to: Port.unserved, ttl: 1) },
      { .refused($0, [.rst, .ack], acknowledgement: isn + 1) })
    + both(.p10, "TTL 0 to a port without service", { .syn($0, to: Port.unserved, ttl: 0) }, .expired)
    + both(
      .p11, "from the VIP itself to a port without service",
      { Packet.ethernet().ip(from: $0.vip, to: $0.vip).udp(from: 9, to: Port.unserved) }, .martian)
    + both(
      .p11, "GRE from nowhere",
      {
        $0 == .v4
          ? .ethernet().ipv4(from: ip("0.0.0.0"), to: vip4, protocol: .gre).payload(40)
          : .ethernet().ipv6(from: ip("::"), to: vip6, next: .gre).payload(40)
      }, .martian)

  private static let balancers4 = Packet.ethernet().ipv4(from: ip("10.9.1.1"), to: vip4, id: 0)
    .ipv4(from: client4, to: vip4).tcp(from: 40000, to: Port.v4, flags: .syn)
  private static let balancers6 = Packet.ethernet().ipv6(from: ip("fd00:9::1"), to: vip6)
    .ipv6(from: client6, to: vip6).tcp(from: 40000, to: Port.v4, flags: .syn)

  private static func fromBalancer(
    _ family: AddressFamily, _ source: IPAddress, quoting packet: Packet
  ) -> Expectation {
    .answered(
      .VERDICT_ANSWERED_UNSERVED,
      Packet.ethernet(to: .router, from: .balancer).answer(from: family.vip, to: source)
        .icmp(type: family == .v4 ? 3 : 4, code: family == .v4 ? 2 : 1, rest: family == .v4 ? 0 : 6)
        .quoting(packet, octets: family.headerLength + 8))
  }
}
