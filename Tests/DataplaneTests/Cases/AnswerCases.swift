// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

extension PacketCase {
  /// P14: packets that do not fit after encapsulation.
  static let oversized: [PacketCase] = largest + tooBig + tooBigOddities

  /// Octets of TCP payload in an IP packet of `length`.
  private static func payload(_ family: AddressFamily, _ length: Int) -> Int {
    length - family.headerLength - 20
  }

  private static func segment(_ family: AddressFamily, _ port: UInt16, length: Int) -> Packet {
    .toVIP(family).tcp(from: 40000, to: port).payload(payload(family, length))
  }

  private static let largest: [PacketCase] =
    both(
      .p14, "1380 octets fit into an MTU of 1400 with an IPv4 header",
      { segment($0, Port.smallMTUv4, length: 1380) },
      .forwarded(Backend.smallMTUv4))
    + both(
      .p14, "1360 octets fit into an MTU of 1400 with an IPv6 header",
      { segment($0, Port.smallMTUv6, length: 1360) },
      .forwarded(Backend.smallMTUv6))
    + both(
      .p14, "the frame's padding does not count",
      { segment($0, Port.smallMTUv4, length: 1380).trailing([UInt8](repeating: 0, count: 100)) },
      .forwarded(Backend.smallMTUv4))

  /// What must be said of `packet`.
  private static func answer(_ family: AddressFamily, mtu: UInt32, to packet: Packet) -> Expectation {
    .answered(
      .VERDICT_ANSWERED_TOO_BIG,
      Packet.ethernet(to: .router, from: .balancer).answer(from: family.vip, to: family.client)
        .tooBig(mtu: mtu, quoting: packet))
  }

  private static let tooBig: [PacketCase] = [1, 2, 120, 1620].flatMap { (excess: Int) -> [PacketCase] in
    let to4 = { (family: AddressFamily) in segment(family, Port.smallMTUv4, length: 1380 + excess) }
    let to6 = { (family: AddressFamily) in segment(family, Port.smallMTUv6, length: 1360 + excess) }
    return both(
      .p14, "\(excess) octets too many for an IPv4 header", to4, { answer($0, mtu: 1380, to: to4($0)) })
      + both(
        .p14, "\(excess) octets too many for an IPv6 header", to6, { answer($0, mtu: 1360, to: to6($0)) })
  }

  private static let fragmentable = Packet.ethernet().ipv4(
    from: AddressFamily.v4.client, to: AddressFamily.v4.vip, dontFragment: false
  ).tcp(from: 40000, to: Port.smallMTUv4).payload(1400)

  private static let extended = Packet.toVIP(.v6).extensionHeader(.destinationOptions)
    .tcp(from: 40000, to: Port.smallMTUv4).payload(1400)

  private static let tooBigOddities: [PacketCase] =
    [
      PacketCase(
        .p14, "v4: without DF, too: we do not fragment", fragmentable,
        answer(.v4, mtu: 1380, to: fragmentable)),
      PacketCase(
        .p14, "v6: extension headers are quoted", extended, answer(.v6, mtu: 1380, to: extended)),
    ]
    + both(
      .p14, "UDP", { .toVIP($0).udp(from: 40000, to: Port.smallMTUv4).payload(1400) },
      { answer($0, mtu: 1380, to: .toVIP($0).udp(from: 40000, to: Port.smallMTUv4).payload(1400)) })
    + both(
      .p14, "an ICMP error is never answered",
      {
        .toVIP($0).icmp(type: $0 == .v4 ? 3 : 1, code: 1).quoting(
          .bare.ip(from: $0.vip, to: $0.client).tcp(from: Port.smallMTUv4, to: 40000).payload(1360))
      }, .dropped(.VERDICT_DROPPED_TOO_BIG))
    + both(
      .m4, "a way with an MTU of 0", { .toVIP($0).tcp(from: 40000, to: Port.zeroMTU).payload(1000) },
      .dropped(.VERDICT_DROPPED_INVALID_STATE))

  /// That of a ping whose checksum is so near the end of its range that the answer's is beyond.
  private static func carryingIdentifier(_ family: AddressFamily) -> UInt16 {
    let wanted: UInt16 = family == .v4 ? 0xf900 : 0x0050
    let ping = Packet.toVIP(family).echoRequest(id: 0, sequence: 0).bytes
    let place = 14 + (family == .v4 ? 20 : 40) + 2
    let sum = UInt32(~wanted) + UInt32(ping[place]) << 8 + UInt32(ping[place + 1])
    return UInt16(sum & 0xffff) + UInt16(sum >> 16)
  }

  /// P15: pings.
  static let echoes: [PacketCase] =
    [0, 1, 56, 57, 1472, 3000].flatMap { count in
      both(
        .p15, "ping with \(count) octets", { .toVIP($0).echoRequest(id: 0xabcd, sequence: 3).payload(count) },
        { echo(reply($0).echoReply(id: 0xabcd, sequence: 3).payload(count)) })
    }
    + both(
      .p15, "ping of an any-port VIP",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).echoRequest() },
      {
        echo(
          Packet.ethernet(to: .router, from: .balancer).answer(from: $0.anyPortVIP, to: $0.client).echoReply()
        )
      })
    + both(
      .p15, "ping in a padded frame", { .toVIP($0).echoRequest().padded(to: 80) },
      { echo(reply($0).echoReply().padded(to: 80)) })
    + both(
      .p15, "ping with a code", { .toVIP($0).icmp(type: $0 == .v4 ? 8 : 128, code: 5, rest: 9) },
      { echo(reply($0).icmp(type: $0 == .v4 ? 0 : 129, code: 5, rest: 9)) })
    + both(
      .p15, "a ping's wrong checksum stays as wrong as it was",
      { .toVIP($0).icmp(type: $0 == .v4 ? 8 : 128, checksum: 0xbad0) },
      {
        echo(
          reply($0).icmp(type: $0 == .v4 ? 0 : 129, checksum: $0 == .v4 ? 0xbad0 + 0x0800 : 0xbad0 - 0x0100))
      })
    + both(
      .p15, "ping of zeros: its answer's checksum is not zero",
      { .toVIP($0).echoRequest(id: 0, sequence: 0) }, { echo(reply($0).echoReply(id: 0, sequence: 0)) })
    + both(
      .p15, "ping whose answer's checksum takes a carry",
      { .toVIP($0).echoRequest(id: carryingIdentifier($0), sequence: 0) },
      { echo(reply($0).echoReply(id: carryingIdentifier($0), sequence: 0)) })
    + both(.p15, "ping of a host that is no VIP", { .toOtherHost($0).echoRequest() }, .notOurs)
    + [
      PacketCase(
        .p15, "v4: a ping's type of service and options of the header are not returned",
        .ethernet().ipv4(from: AddressFamily.v4.client, to: AddressFamily.v4.vip, trafficClass: 0xb8)
          .echoRequest(),
        echo(reply(.v4).echoReply())),
      PacketCase(
        .p15, "v6: a ping's traffic class and flow label are returned",
        .ethernet().ipv6(
          from: AddressFamily.v6.client, to: AddressFamily.v6.vip, trafficClass: 0xb8, flowLabel: 0x12345
        ).echoRequest(),
        echo(
          Packet.ethernet(to: .router, from: .balancer).ipv6(
            from: AddressFamily.v6.vip, to: AddressFamily.v6.client, trafficClass: 0xb8, flowLabel: 0x12345
          ).echoReply())),
      PacketCase(
        .p15, "v6: neighbour solicitation to a VIP", .toVIP(.v6).icmp(type: 135).payload(20), .notOurs),
      PacketCase(.p15, "v6: router advertisement to a VIP", .toVIP(.v6).icmp(type: 134).payload(8), .notOurs),
      PacketCase(
        .p15, "v4: ping cut within its header",
        .ethernet().ipv4(from: AddressFamily.v4.client, to: AddressFamily.v4.vip, protocol: .icmp)
          .octets([8, 0, 0, 0]), .truncated),
      PacketCase(
        .p15, "v4: ping whose length ends within its header",
        .ethernet().ipv4(from: AddressFamily.v4.client, to: AddressFamily.v4.vip, length: 27).echoRequest(),
        .truncated),
      PacketCase(
        .p15, "v4: ping longer than its frame",
        .ethernet().ipv4(from: AddressFamily.v4.client, to: AddressFamily.v4.vip, length: 29).echoRequest(),
        .truncated),
      PacketCase(
        .p15, "v6: ping longer than its frame",
        .ethernet().ipv6(from: AddressFamily.v6.client, to: AddressFamily.v6.vip, payloadLength: 9)
          .echoRequest(),
        .truncated),
      PacketCase(
        .p15, "v6: ping whose length ends within its header",
        .ethernet().ipv6(from: AddressFamily.v6.client, to: AddressFamily.v6.vip, payloadLength: 7)
          .echoRequest(),
        .truncated),
    ]

  private static func reply(_ family: AddressFamily) -> Packet {
    Packet.ethernet(to: .router, from: .balancer).answer(from: family.vip, to: family.client)
  }

  private static func echo(_ packet: Packet) -> Expectation { .answered(.VERDICT_ANSWERED_ECHO, packet) }
}
