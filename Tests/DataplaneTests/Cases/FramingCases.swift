// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

extension PacketCase {
  /// P12, P13: what Ethernet says.
  static let framing: [PacketCase] = destinations + tags + tagsOnAnswers + strangeTags

  private static let destinations: [PacketCase] =
    ([
      ("ff:ff:ff:ff:ff:ff", "broadcast"), ("01:00:5e:00:00:01", "multicast"),
      ("33:33:00:00:00:01", "IPv6 multicast"), ("02:00:00:00:00:02", "another host's"),
      ("00:00:5e:00:01:01", "VRRP"), ("00:00:00:00:00:00", "zero"), ("03:00:00:00:00:01", "group bit set"),
    ] as [(HardwareAddress, String)]).flatMap { address, name in
      both(
        .p12, "link-layer destination \(name)",
        {
          Packet.ethernet(to: address).ip(from: $0.client, to: $0.vip)
            .tcp(from: 40000, to: Port.v4, flags: .syn)
        }, .otherHost)
    }

  /// Ways to tag a frame.
  private static let taggings: [(String, @Sendable (Packet) -> Packet)] = [
    ("one tag", { $0.vlan(5) }),
    ("a priority tag", { $0.vlan(0, priority: 6) }),
    ("all bits of a tag", { $0.vlan(0x1fff, priority: 7) }),
    ("a service tag", { $0.vlan(7, tpid: 0x88a8) }),
    ("a service and a customer tag", { $0.vlan(7, tpid: 0x88a8).vlan(8) }),
    ("two customer tags", { $0.vlan(100, priority: 1).vlan(200, priority: 2) }),
  ]

  private static let tags: [PacketCase] = taggings.flatMap { name, tagged in
    both(
      .p13, "\(name), to an IPv4 backend",
      { tagged(.ethernet()).ip(from: $0.client, to: $0.vip).tcp(from: 40000, to: Port.v4, flags: .syn) },
      .forwarded(Backend.v4))
      + both(
        .p13, "\(name), to an IPv6 backend",
        { tagged(.ethernet()).ip(from: $0.client, to: $0.vip).udp(from: 40000, to: Port.v6).payload(33) },
        .forwarded(Backend.v6))
      + both(
        .p13, "\(name), to a host that is no VIP",
        { tagged(.ethernet()).ip(from: $0.client, to: $0.otherHost).tcp(from: 40000, to: Port.v4) }, .notOurs)
      + both(
        .p13, "\(name), dropped",
        { tagged(.ethernet()).ip(from: $0.client, to: $0.vip, ttl: 0).tcp(from: 40000, to: Port.v4) },
        .expired)
  }

  private static let tagsOnAnswers: [PacketCase] = taggings.flatMap { name, tagged in
    let back = tagged(.ethernet(to: .router, from: .balancer))
    return both(
      .p13, "\(name), ping",
      { tagged(.ethernet()).ip(from: $0.client, to: $0.vip).echoRequest().payload(56) },
      { family in
        .answered(
          .VERDICT_ANSWERED_ECHO,
          back.answer(from: family.vip, to: family.client).echoReply().payload(56))
      })
      + both(
        .p13, "\(name), too big",
        {
          tagged(.ethernet()).ip(from: $0.client, to: $0.vip).tcp(from: 40000, to: Port.smallMTUv4).payload(
            1400)
        },
        { family in
          .answered(
            .VERDICT_ANSWERED_TOO_BIG,
            back.answer(from: family.vip, to: family.client).tooBig(
              mtu: 1380,
              quoting: .bare.ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.smallMTUv4)
                .payload(1400)))
        })
  }

  private static let strangeTags: [PacketCase] =
    both(
      .p13, "three tags are one too many",
      {
        Packet.ethernet().vlan(1).vlan(2).vlan(3).ip(from: $0.client, to: $0.vip)
          .tcp(from: 40000, to: Port.v4, flags: .syn)
      }, .notIP)
    + [
      PacketCase(
        .p13, "ARP in a tagged frame",
        .ethernet().vlan(5).octets([8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + [UInt8](1...40)),
        .notIP),
      PacketCase(.p13, "a tag that the frame's end cuts", .ethernet(type: 0x8100).octets([0, 5]), .notIP),
      PacketCase(.p13, "a tag, and no type behind it", .ethernet(type: 0x8100).octets([0, 5, 8]), .notIP),
      PacketCase(
        .p13, "a tag, and nothing behind it", .ethernet(type: 0x8100).octets([0, 5, 8, 0]), .notOurs),
      PacketCase(
        .p13, "the second of two tags is cut", .ethernet(type: 0x88a8).octets([0, 7, 0x81, 0, 0]), .notIP),
      PacketCase(
        .p13, "two tags, and nothing behind them",
        .ethernet(type: 0x88a8).octets([0, 7, 0x81, 0, 0, 5, 0x86, 0xdd]), .notOurs),
      PacketCase(
        .p13, "a tag in a broadcast",
        .ethernet(to: "ff:ff:ff:ff:ff:ff").vlan(5).ipv4(
          from: AddressFamily.v4.client, to: AddressFamily.v4.vip
        )
        .tcp(from: 40000, to: Port.v4), .otherHost),
      PacketCase(
        .p13, "the old tag type 0x9100 is none to us",
        .ethernet().vlan(5, tpid: 0x9100).ipv4(from: AddressFamily.v4.client, to: AddressFamily.v4.vip)
          .tcp(from: 40000, to: Port.v4), .notIP),
    ]
}

extension Packet {
  /// The IP header of an answer: nothing of the request's but, for a ping, what lies behind.
  func answer(from source: IPAddress, to destination: IPAddress) -> Packet {
    source.family == .v4
      ? ipv4(from: source, to: destination, id: 0) : ipv6(from: source, to: destination)
  }

  /// "Fragmentation needed" or "packet too big", with as much of the packet as we quote; over IPv6 it has 1280 octets.
  func tooBig(mtu: UInt32, quoting packet: Packet) -> Packet {
    packet.withoutEthernet[0] >> 4 == 4
      ? icmp(type: 3, code: 4, rest: mtu).quoting(packet, octets: 64)
      : icmp(type: 2, rest: mtu).quoting(packet, octets: 1232)
  }
}
