// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let vip4 = AddressFamily.v4.vip
private let vip6 = AddressFamily.v6.vip

extension PacketCase {
  /// P8, P9: what TCP and UDP headers may say.
  static let transports: [PacketCase] = udp + tcp

  private static let udp: [PacketCase] =
    both(.p8, "UDP without payload", { .toVIP($0).udp(from: 40000, to: Port.v4) }, .forwarded(Backend.v4))
    + ([
      (0, "0", .malformed), (7, "7, less than its header", .malformed), (8, "8", .forwarded(Backend.v4)),
      (20, "20, shorter than the packet", .forwarded(Backend.v4)),
      (48, "48, as long as the packet", .forwarded(Backend.v4)),
      (49, "49, longer than the packet", .malformed), (65535, "65535", .malformed),
    ] as [(UInt16, String, Expectation)]).flatMap { length, name, expectation in
      both(
        .p8, "UDP length \(name)", { .toVIP($0).udp(from: 40000, to: Port.v4, length: length).payload(40) },
        expectation)
    }
    + both(
      .p8, "UDP longer than the packet, yet within the frame's padding",
      { .toVIP($0).udp(from: 40000, to: Port.v4, length: 40).padded(to: 120) }, .malformed)
    + both(
      .p8, "UDP without checksum", { .toVIP($0).udp(from: 40000, to: Port.v4, checksum: 0).payload(12) },
      .forwarded(Backend.v4))

  private static let tcp: [PacketCase] =
    ([
      ([], "no flags"), ([.fin, .syn, .rst, .psh, .ack, .urg], "all flags"), ([.syn, .fin], "SYN and FIN"),
      ([.syn, .rst], "SYN and RST"), (.fin, "FIN alone"), ([.syn, .ack], "SYN and ACK"),
      ([.fin, .psh, .urg], "FIN, PSH and URG"), (TCPFlags(rawValue: 0xc2), "SYN, ECE and CWR"),
    ] as [(TCPFlags, String)]).flatMap { flags, name in
      both(
        .p9, "TCP with \(name)", { .toVIP($0).tcp(from: 40000, to: Port.v4, flags: flags) },
        .forwarded(Backend.v4))
    }
    + ([
      (0, .malformed), (4, .malformed), (5, .forwarded(Backend.v4)), (7, .forwarded(Backend.v4)),
      (8, .malformed), (15, .malformed),
    ] as [(UInt8, Expectation)]).flatMap { words, expectation in
      both(
        .p9, "TCP header of \(words) words in a packet with room for 7",
        { .toVIP($0).tcp(from: 40000, to: Port.v4, dataOffset: words).payload(8) }, expectation)
    }
    + both(
      .p9, "destination port 0 of an any-port VIP",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).tcp(from: 40000, to: 0) },
      .forwarded(Backend.v4))
    + both(.p9, "source port 0", { .toVIP($0).tcp(from: 0, to: Port.v4) }, .forwarded(Backend.v4))

  /// P11: sources that no client has.
  static let sources: [PacketCase] =
    ([
      ("0.0.0.0", .martian), ("0.1.2.3", .martian), ("127.0.0.1", .martian), ("127.255.255.254", .martian),
      ("224.0.0.1", .martian), ("239.255.255.250", .martian), ("240.0.0.1", .martian),
      ("255.255.255.255", .martian), ("198.51.100.10", .martian), ("198.51.100.11", .martian),
      ("198.51.100.12", .forwarded(Backend.v4)), ("1.0.0.1", .forwarded(Backend.v4)),
      ("126.255.255.255", .forwarded(Backend.v4)), ("128.0.0.1", .forwarded(Backend.v4)),
      ("223.255.255.255", .forwarded(Backend.v4)), ("10.1.2.3", .forwarded(Backend.v4)),
    ] as [(String, Expectation)]).map { text, expectation in
      PacketCase(
        .p11, "v4: source \(text)\(ip(text) == vip4 ? ", the VIP itself" : "")",
        .ethernet().ipv4(from: ip(text), to: vip4).tcp(from: Port.v4, to: Port.v4, flags: .syn), expectation)
    }
    + ([
      ("::", .martian), ("::1", .martian), ("::ffff:192.0.2.7", .martian), ("ff02::1", .martian),
      ("ff0e::1", .martian), ("2001:db8:f::10", .martian),
      ("2001:db8:f::11", .martian), ("2001:db8:f::12", .forwarded(Backend.v4)),
      ("fe80::1", .forwarded(Backend.v4)),
      ("fd00::1", .forwarded(Backend.v4)), ("::2", .forwarded(Backend.v4)),
      ("::192.0.2.7", .forwarded(Backend.v4)),
      ("64:ff9b::c000:207", .forwarded(Backend.v4)),
    ] as [(String, Expectation)]).map { text, expectation in
      PacketCase(
        .p11, "v6: source \(text)\(ip(text) == vip6 ? ", the VIP itself" : "")",
        .ethernet().ipv6(from: ip(text), to: vip6).tcp(from: Port.v4, to: Port.v4, flags: .syn), expectation)
    }
    + both(
      .p11, "ping from the VIP itself", { Packet.ethernet().ip(from: $0.vip, to: $0.vip).echoRequest() },
      .martian)
    + both(
      .p11, "ping from another VIP", { Packet.ethernet().ip(from: $0.anyPortVIP, to: $0.vip).echoRequest() },
      .martian)
    + both(
      .p11, "datagram from another VIP",
      { Packet.ethernet().ip(from: $0.anyPortVIP, to: $0.vip).udp(from: 7, to: Port.v4).payload(4) }, .martian
    )
    + both(
      .p11, "ICMP error from another VIP",
      {
        Packet.ethernet().ip(from: $0.anyPortVIP, to: $0.vip).icmp(type: $0 == .v4 ? 3 : 1, code: 1)
          .quoting(.bare.ip(from: $0.vip, to: $0.client).tcp(from: Port.v4, to: 40000))
      }, .martian)
    + both(
      .p11, "from another VIP to a port without service",
      { Packet.ethernet().ip(from: $0.anyPortVIP, to: $0.vip).udp(from: 7, to: Port.unserved) }, .martian)
    + both(
      .p11, "ping from nowhere",
      { Packet.ethernet().ip(from: ip($0 == .v4 ? "0.0.0.0" : "::"), to: $0.vip).echoRequest() }, .martian)
    + both(
      .p11, "multicast source to a host that is no VIP",
      {
        Packet.ethernet().ip(from: ip($0 == .v4 ? "224.0.0.1" : "ff02::1"), to: $0.otherHost)
          .tcp(from: 40000, to: Port.v4)
      }, .notOurs)
}
