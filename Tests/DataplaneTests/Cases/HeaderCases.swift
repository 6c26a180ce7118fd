// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let client4 = AddressFamily.v4.client
private let vip4 = AddressFamily.v4.vip
private let other4 = AddressFamily.v4.otherHost
private let client6 = AddressFamily.v6.client
private let vip6 = AddressFamily.v6.vip
private let other6 = AddressFamily.v6.otherHost

extension PacketCase {
  /// IP headers that contradict themselves or the frame: P2, P3, P4, P5, P10.
  static let headers: [PacketCase] = versions + options + lengths4 + lengths6 + checksums + lifetimes

  private static let versions: [PacketCase] =
    [0, 1, 5, 6, 15].map { (version: UInt8) in
      PacketCase(
        .p2, "v4: version \(version)",
        .ethernet().ipv4(from: client4, to: vip4, version: version).tcp(from: 40000, to: Port.v4), .malformed)
    }
    + [0, 1, 4].map { (words: UInt8) in
      PacketCase(
        .p2, "v4: header of \(words) words",
        .ethernet().ipv4(from: client4, to: vip4, headerWords: words).tcp(from: 40000, to: Port.v4),
        .malformed)
    }
    + [0, 4, 5, 7, 15].map { (version: UInt8) in
      PacketCase(
        .p2, "v6: version \(version)",
        .ethernet().ipv6(from: client6, to: vip6, version: version).tcp(from: 40000, to: Port.v4), .malformed)
    }
    + [
      PacketCase(
        .p2, "v4: version 6 and a header of 8 words",
        .ethernet().ipv4(from: client4, to: vip4, version: 6, headerWords: 8).tcp(from: 40000, to: Port.v4),
        .malformed),
      PacketCase(
        .p2, "v4: version 6 to a host that is no VIP",
        .ethernet().ipv4(from: client4, to: other4, version: 6).tcp(from: 40000, to: Port.v4), .notOurs),
      PacketCase(
        .p2, "v4: header of 4 words to a host that is no VIP",
        .ethernet().ipv4(from: client4, to: other4, headerWords: 4).tcp(from: 40000, to: Port.v4), .notOurs),
      PacketCase(
        .p2, "v6: version 4 to a host that is no VIP",
        .ethernet().ipv6(from: client6, to: other6, version: 4).tcp(from: 40000, to: Port.v4), .notOurs),
    ]

  private static let options: [PacketCase] =
    [4, 8, 40].map { count in
      PacketCase(
        .p3, "v4: \(count) octets of options",
        .ethernet().ipv4(from: client4, to: vip4, options: [UInt8](repeating: 1, count: count))
          .tcp(from: 40000, to: Port.v4, flags: .syn), .dropped(.VERDICT_DROPPED_IP_OPTIONS))
    }
    + [
      PacketCase(
        .p3, "v4: options before UDP",
        .ethernet().ipv4(from: client4, to: vip4, options: [7, 4, 4, 0]).udp(from: 40000, to: Port.v4),
        .dropped(.VERDICT_DROPPED_IP_OPTIONS)),
      PacketCase(
        .p3, "v4: options before a ping",
        .ethernet().ipv4(from: client4, to: vip4, options: [1, 1, 1, 1]).echoRequest(),
        .dropped(.VERDICT_DROPPED_IP_OPTIONS)),
      PacketCase(
        .p3, "v4: options that only the header's length promises",
        .ethernet().ipv4(from: client4, to: vip4, headerWords: 15).tcp(from: 40000, to: Port.v4),
        .dropped(.VERDICT_DROPPED_IP_OPTIONS)),
      PacketCase(
        .p3, "v4: options to a host that is no VIP",
        .ethernet().ipv4(from: client4, to: other4, options: [1, 1, 1, 1]).tcp(from: 40000, to: Port.v4),
        .notOurs),
    ]

  private static let lengths4: [PacketCase] =
    ([
      (0, "0", .malformed), (19, "19, less than itself", .malformed),
      (20, "20, room for nothing", .malformed),
      (27, "27, less than ports", .malformed), (39, "39, less than the TCP header", .malformed),
      (50, "50, less than the frame holds", .forwarded(Backend.v4)),
      (60, "60, what the frame holds", .forwarded(Backend.v4)),
      (61, "61, an octet more than the frame holds", .truncated), (1500, "1500 in a frame of 74", .truncated),
      (65516, "65516, with which the outer length would be 0", .truncated), (65530, "65530", .truncated),
      (65535, "65535", .truncated),
    ] as [(UInt16, String, Expectation)]).map { length, name, expectation in
      PacketCase(
        .p4, "v4: total length \(name)",
        .ethernet().ipv4(from: client4, to: vip4, length: length).tcp(from: 40000, to: Port.v4).payload(20),
        expectation)
    }
    + [
      PacketCase(
        .p4, "v4: padding of the frame to 60 octets stays behind the packet", .syn(.v4).padded(to: 60),
        .forwarded(Backend.v4)),
      PacketCase(
        .p4, "v4: padding towards an IPv6 backend", .syn(.v4, to: Port.v6).padded(to: 60),
        .forwarded(Backend.v6)),
      PacketCase(
        .p4, "v4: a trailer of the link behind the packet", .syn(.v4).trailing([0xde, 0xad, 0xbe, 0xef]),
        .forwarded(Backend.v4)),
      PacketCase(
        .p4, "v4: length beyond the frame to a host that is no VIP",
        .ethernet().ipv4(from: client4, to: other4, length: 1500).tcp(from: 40000, to: Port.v4), .notOurs),
    ]

  private static let lengths6: [PacketCase] =
    ([
      (0, "0", .malformed), (7, "7, less than ports", .malformed),
      (19, "19, less than the TCP header", .malformed),
      (30, "30, less than the frame holds", .forwarded(Backend.v4)),
      (40, "40, what the frame holds", .forwarded(Backend.v4)),
      (41, "41, an octet more than the frame holds", .truncated),
      (65476, "65476, with which an outer IPv4 length would be 0", .truncated), (65535, "65535", .truncated),
    ] as [(UInt16, String, Expectation)]).map { length, name, expectation in
      PacketCase(
        .p4, "v6: payload length \(name)",
        .ethernet().ipv6(from: client6, to: vip6, payloadLength: length).tcp(from: 40000, to: Port.v4)
          .payload(20),
        expectation)
    }
    + [
      PacketCase(
        .p4, "v6: a trailer of the link behind the packet", .syn(.v6).trailing([0xde, 0xad, 0xbe]),
        .forwarded(Backend.v4)),
      PacketCase(
        .p4, "v6: length beyond the frame to a host that is no VIP",
        .ethernet().ipv6(from: client6, to: other6, payloadLength: 1500).tcp(from: 40000, to: Port.v4),
        .notOurs),
    ]

  private static let checksums: [PacketCase] =
    [
      PacketCase(
        .p5, "v4: a wrong IP checksum goes on as it is",
        .ethernet().ipv4(from: client4, to: vip4, checksum: 0xbad0).tcp(from: 40000, to: Port.v4),
        .forwarded(Backend.v4))
    ]
    + both(
      .p5, "a wrong TCP checksum goes on as it is",
      { .toVIP($0).tcp(from: 40000, to: Port.v6, checksum: 0xbad0) }, .forwarded(Backend.v6))
    + both(
      .p5, "a wrong UDP checksum goes on as it is",
      { .toVIP($0).udp(from: 40000, to: Port.v6, checksum: 0xbad0).payload(9) }, .forwarded(Backend.v6))

  private static let lifetimes: [PacketCase] =
    ([(0, .expired), (1, .forwarded(Backend.v4)), (2, .forwarded(Backend.v4)), (255, .forwarded(Backend.v4))]
    as [(UInt8, Expectation)]).flatMap { ttl, expectation in
      both(.p10, "TTL \(ttl)", { .syn($0, ttl: ttl) }, expectation)
    }
    + both(
      .p10, "TTL 1, UDP", { .toVIP($0, ttl: 1).udp(from: 40000, to: Port.v6).payload(4) },
      .forwarded(Backend.v6))
    + both(
      .p10, "TTL 0, UDP", { .toVIP($0, ttl: 0).udp(from: 40000, to: Port.v6).payload(4) }, .expired)
    + both(
      .p10, "TTL 1, ping", { .toVIP($0, ttl: 1).echoRequest() },
      {
        .answered(
          .VERDICT_ANSWERED_ECHO,
          Packet.ethernet(to: .router, from: .balancer).answer(from: $0.vip, to: $0.client).echoReply())
      })
    + both(.p10, "TTL 0, ping", { .toVIP($0, ttl: 0).echoRequest() }, .expired)
    + both(
      .p10, "TTL 1 to a host that is no VIP",
      { Packet.ethernet().ip(from: $0.client, to: $0.otherHost, ttl: 1).tcp(from: 40000, to: Port.v4) },
      .notOurs)
}
