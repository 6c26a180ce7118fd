// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let client4 = AddressFamily.v4.client
private let vip4 = AddressFamily.v4.vip
private let client6 = AddressFamily.v6.client

extension PacketCase {
  /// P18, P19, P20: what is not for the balancer to touch.
  static let strangers: [PacketCase] = tunnels + otherPackets + otherFrames

  private static func syn(_ family: AddressFamily) -> Packet {
    .bare.ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.v4, flags: .syn)
  }

  private static let tunnels: [PacketCase] =
    both(
      .p18, "IP in IP to the balancer itself",
      { Packet.toOtherHost($0).ipv4(from: client4, to: vip4).tcp(from: 40000, to: Port.v4, flags: .syn) },
      .notOurs)
    + [
      PacketCase(
        .p19, "v4: an encapsulated packet for a backend that comes past us",
        .ethernet().ipv4(from: ip("10.9.1.1"), to: ip("10.0.0.1"), id: 0).ipv4(from: client4, to: vip4)
          .tcp(from: 40000, to: Port.v4, flags: .syn), .notOurs)
    ]

  private static let otherPackets: [PacketCase] =
    both(
      .plain, "TCP to a host that is no VIP", { .toOtherHost($0).tcp(from: 40000, to: Port.v4) }, .notOurs)
    + both(
      .plain, "TCP to a host that is no VIP, from a VIP",
      { Packet.ethernet().ip(from: $0.vip, to: $0.otherHost).tcp(from: Port.v4, to: 40000) }, .notOurs)
    + [
      PacketCase(
        .p20, "v4: multicast",
        .ethernet().ipv4(from: client4, to: ip("224.0.0.251")).udp(from: 5353, to: 5353), .notOurs),
      PacketCase(
        .p20, "v4: limited broadcast",
        .ethernet().ipv4(from: ip("0.0.0.0"), to: ip("255.255.255.255")).udp(from: 68, to: 67).payload(300),
        .notOurs),
      PacketCase(
        .p20, "v4: IGMP",
        .ethernet().ipv4(from: client4, to: ip("224.0.0.22"), ttl: 1, protocol: IPProtocol(2)).payload(8),
        .notOurs),
      PacketCase(
        .p20, "v4: OSPF to this host",
        .ethernet().ipv4(from: client4, to: AddressFamily.v4.otherHost, ttl: 1, protocol: IPProtocol(89))
          .payload(44),
        .notOurs),
      PacketCase(
        .p20, "v6: multicast", .ethernet().ipv6(from: client6, to: ip("ff02::fb")).udp(from: 5353, to: 5353),
        .notOurs),
      PacketCase(
        .p20, "v6: neighbour solicitation of this host",
        .ethernet().ipv6(from: client6, to: AddressFamily.v6.otherHost, hopLimit: 255).icmp(type: 135)
          .octets(AddressFamily.v6.otherHost.octets), .notOurs),
      PacketCase(
        .p20, "v6: BGP to this host",
        .toOtherHost(.v6).tcp(from: 179, to: 50000, flags: [.ack, .psh]).payload(19), .notOurs),
    ]

  private static let otherFrames: [PacketCase] = [
    PacketCase(
      .p20, "ARP request",
      .ethernet(to: "ff:ff:ff:ff:ff:ff", type: 0x0806).octets([0, 1, 8, 0, 6, 4, 0, 1]).payload(20).padded(
        to: 60),
      .otherHost),
    PacketCase(
      .p20, "ARP reply to us",
      .ethernet(type: 0x0806).octets([0, 1, 8, 0, 6, 4, 0, 2]).payload(20).padded(to: 60), .notIP),
    PacketCase(
      .p20, "LLDP", .ethernet(to: "01:80:c2:00:00:0e", type: 0x88cc).payload(46), .otherHost),
    PacketCase(
      .p20, "spanning tree",
      .ethernet(to: "01:80:c2:00:00:00", type: 38).octets([0x42, 0x42, 3]).payload(43),
      .otherHost),
    PacketCase(.p20, "unknown type", .ethernet(type: 0x88b5).payload(60), .notIP),
    PacketCase(.p20, "MPLS", .ethernet(type: 0x8847).octets([0, 0, 0x11, 64]).quoting(syn(.v4)), .notIP),
    PacketCase(
      .p20, "PPPoE", .ethernet(type: 0x8864).octets([0x11, 0, 0, 1, 0, 42, 0, 0x21]).quoting(syn(.v4)), .notIP
    ),
    PacketCase(.p20, "a length in place of a type", .ethernet(type: 46).payload(46), .notIP),
    PacketCase(.p20, "an Ethernet header alone", .ethernet(type: 0x88b5), .notIP),
    PacketCase(.p20, "an Ethernet header alone that promises IPv4", .ethernet(type: 0x0800), .notOurs),
    PacketCase(.p20, "an Ethernet header alone that promises IPv6", .ethernet(type: 0x86dd), .notOurs),
    PacketCase(
      .p20, "half an IPv4 header", .ethernet(type: 0x0800).octets([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6]),
      .notOurs),
  ]

  /// M4 and pools that can serve nobody.
  static let invalidState: [PacketCase] =
    ([
      (.plain, "a pool without backend", Port.noBackend, .dropped(.VERDICT_DROPPED_NO_BACKEND)),
      (.plain, "a pool whose backend is not usable", Port.unusable, .dropped(.VERDICT_DROPPED_NO_BACKEND)),
      (.plain, "a backend without next hop", Port.noNextHop, .dropped(.VERDICT_DROPPED_NO_NEXT_HOP)),
      (
        .m4, "a backend of encapsulation 9", Port.unknownEncapsulation,
        .dropped(.VERDICT_DROPPED_INVALID_STATE)
      ),
      (
        .m4, "a slot that names a backend out of range", Port.backendOutOfRange,
        .dropped(.VERDICT_DROPPED_NO_BACKEND)
      ),
      (.m4, "a table of no slots", Port.zeroTable, .dropped(.VERDICT_DROPPED_NO_BACKEND)),
      (.m4, "a table out of range", Port.tableOutOfRange, .dropped(.VERDICT_DROPPED_NO_BACKEND)),
      (.m4, "a pool out of range", Port.poolOutOfRange, .dropped(.VERDICT_DROPPED_INVALID_STATE)),
      (.m4, "a service out of range", Port.serviceOutOfRange, .dropped(.VERDICT_DROPPED_INVALID_STATE)),
    ] as [(CatalogueRow, String, UInt16, Expectation)]).flatMap { row, name, port, expectation in
      both(row, name, { .syn($0, to: port) }, expectation)
    }
}
