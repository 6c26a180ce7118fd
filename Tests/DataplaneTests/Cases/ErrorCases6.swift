// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let client = AddressFamily.v6.client
private let vip = AddressFamily.v6.vip
private let router = AddressFamily.v6.routerOnTheWay

/// What the backend once sent to the client, in the VIP's name.
private let reply = Packet.bare.ipv6(from: vip, to: client, hopLimit: 60).tcp(from: Port.v4, to: 40000)
  .payload(100)
private let datagram = Packet.bare.ipv6(from: vip, to: client).udp(from: Port.v6, to: 40000).payload(100)
private let flow = Flow(from: client, 40000, to: vip, Port.v4)
private let udpFlow = Flow(from: client, 40000, to: vip, Port.v6, .udp)

/// An error from a router on the way, about `packet`.
private func error(
  _ type: UInt8 = 1, _ code: UInt8 = 0, rest: UInt32 = 0, from source: IPAddress = router,
  hopLimit: UInt8 = 64,
  about packet: Packet = reply, octets: Int = .max
) -> Packet {
  .ethernet().ipv6(from: source, to: vip, hopLimit: hopLimit).icmp(type: type, code: code, rest: rest)
    .quoting(packet, octets: octets)
}

extension PacketCase {
  /// P16, P17 for IPv6.
  static let errors6: [PacketCase] =
    ([
      (1, 0), (1, 3), (1, 4), (3, 0), (3, 1), (4, 0), (4, 2),
      // Of unknown type: they are for the upper layer, RFC 4443, section 2.4 a.
      (0, 0), (5, 0), (100, 1), (127, 0),
    ] as [(UInt8, UInt8)]).map { type, code in
      PacketCase(
        .p16, "v6: error \(type)/\(code) about a TCP flow", error(type, code),
        .forwarded(Backend.v4, flow: flow))
    } + soundErrors + cutErrors + unrelatedErrors + mtuErrors

  private static let soundErrors: [PacketCase] = [
    PacketCase(
      .p16, "v6: about a UDP flow", error(1, 4, about: datagram), .forwarded(Backend.v6, flow: udpFlow)),
    PacketCase(
      .p16, "v6: from the client itself", error(1, 4, from: client), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v6: that quotes no more than the ports", error(octets: 44), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v6: about a flow of an any-port VIP",
      .ethernet().ipv6(from: router, to: AddressFamily.v6.anyPortVIP).icmp(type: 1).quoting(
        .bare.ipv6(from: AddressFamily.v6.anyPortVIP, to: client).udp(from: 4711, to: 40000)),
      .forwarded(Backend.v4, flow: Flow(from: client, 40000, to: AddressFamily.v6.anyPortVIP, 4711, .udp))),
    PacketCase(
      .p16, "v6: in a frame with two tags",
      .ethernet().vlan(5, tpid: 0x88a8).vlan(6).ipv6(from: router, to: vip).icmp(type: 1).quoting(reply),
      .forwarded(Backend.v4, flow: flow)),
    PacketCase(.p16, "v6: with a hop limit of 1", error(hopLimit: 1), .forwarded(Backend.v4, flow: flow)),
    PacketCase(.p16, "v6: with a hop limit of 0", error(hopLimit: 0), .expired),
    PacketCase(.p16, "v6: from a source that no host has", error(from: ip("::1")), .martian),
    PacketCase(.p16, "v6: from the VIP itself", error(from: vip), .martian),
  ]

  private static let cutErrors: [PacketCase] =
    [0, 1, 39, 40, 43].map { octets in
      PacketCase(.p16, "v6: that quotes \(octets) octets", error(octets: octets), .truncated)
    }
    + [
      PacketCase(
        .p16, "v6: about version 4",
        error(about: .bare.ipv6(from: vip, to: client, version: 4).tcp(from: Port.v4, to: 40000)), .malformed),
      PacketCase(
        .p16, "v6: whose ports lie in the frame's padding",
        .ethernet().ipv6(from: router, to: vip).icmp(type: 1).quoting(reply, octets: 40)
          .trailing(Array(reply.bytes[40..<48])), .truncated),
      PacketCase(
        .p16, "v6: longer than its frame",
        .ethernet().ipv6(from: router, to: vip, payloadLength: 300).icmp(type: 1).quoting(reply), .truncated),
    ]
    + extended.map { name, about, expectation in
      PacketCase(.p16, "v6: about \(name)", error(2, 0, rest: 1400, about: about), expectation)
    }
    + [4, 8, 11].map { octets in
      PacketCase(
        .p16, "v6: about a first fragment, cut \(octets) octets into its fragment header",
        error(about: quoted.fragmentHeader().udp(from: Port.v6, to: 40000), octets: 40 + octets), .truncated)
    }

  private static let quoted = Packet.bare.ipv6(from: vip, to: client)

  private static func chain(_ count: Int) -> Packet {
    (0..<count).reduce(quoted) { packet, _ in packet.extensionHeader(.destinationOptions) }
  }

  /// What a "packet too big" with an MTU of 1400 quotes, by what precedes its ports.
  private static let extended: [(String, Packet, Expectation)] = [
    (
      "a first fragment", quoted.fragmentHeader().udp(from: Port.v6, to: 40000).payload(1200),
      .forwarded(Backend.v6, flow: udpFlow)
    ),
    (
      "an atomic fragment", quoted.fragmentHeader(more: false).tcp(from: Port.v4, to: 40000),
      .forwarded(Backend.v4, flow: flow)
    ),
    ("a later fragment", quoted.fragmentHeader(offset: 1).udp(from: Port.v6, to: 40000), .fragment),
    (
      "a last fragment", quoted.fragmentHeader(offset: 32, more: false).udp(from: Port.v6, to: 40000),
      .fragment
    ),
    ("a fragment far behind", quoted.fragmentHeader(offset: 0x1f00).udp(from: Port.v6, to: 40000), .fragment),
    (
      "a first fragment behind options",
      quoted.extensionHeader(.hopByHop).extensionHeader(.destinationOptions).fragmentHeader()
        .udp(from: Port.v6, to: 40000), .forwarded(Backend.v6, flow: udpFlow)
    ),
    (
      "a first fragment with options",
      quoted.fragmentHeader().extensionHeader(.destinationOptions, units: 2).udp(from: Port.v6, to: 40000),
      .forwarded(Backend.v6, flow: udpFlow)
    ),
    (
      "a packet with options", quoted.extensionHeader(.destinationOptions).tcp(from: Port.v4, to: 40000),
      .forwarded(Backend.v4, flow: flow)
    ),
    (
      "a packet with an authentication header",
      quoted.extensionHeader(.authentication).tcp(from: Port.v4, to: 40000),
      .forwarded(Backend.v4, flow: flow)
    ),
    (
      "a packet with six headers", chain(6).tcp(from: Port.v4, to: 40000),
      .forwarded(Backend.v4, flow: flow)
    ),
    (
      "a packet with seven headers", chain(7).tcp(from: Port.v4, to: 40000),
      .dropped(.VERDICT_DROPPED_EXTENSION_HEADERS)
    ),
    ("a fragment of ESP", quoted.fragmentHeader().payload(64), .unrelated),
    (
      "a first fragment that a VIP did not send",
      .bare.ipv6(from: AddressFamily.v6.otherHost, to: client).fragmentHeader().udp(from: Port.v6, to: 40000),
      .unrelated
    ),
  ]

  private static let unrelatedErrors: [PacketCase] = [
    PacketCase(
      .p16, "v6: about a packet that a VIP did not send",
      error(about: .bare.ipv6(from: AddressFamily.v6.otherHost, to: client).tcp(from: Port.v4, to: 40000)),
      .unrelated),
    PacketCase(
      .p16, "v6: about another VIP's packet",
      error(about: .bare.ipv6(from: AddressFamily.v6.anyPortVIP, to: client).tcp(from: Port.v4, to: 40000)),
      .unrelated),
    PacketCase(
      .p16, "v6: about our answer to a ping", error(about: .bare.ipv6(from: vip, to: client).echoReply()),
      .unrelated),
    PacketCase(
      .p16, "v6: about a port without service",
      error(about: .bare.ipv6(from: vip, to: client).tcp(from: Port.unserved, to: 40000)), .unrelated),
    PacketCase(
      .p16, "v6: to a host that is no VIP",
      .ethernet().ipv6(from: router, to: AddressFamily.v6.otherHost).icmp(type: 1).quoting(reply), .notOurs),
    PacketCase(
      .p16, "v6: cut, to a host that is no VIP",
      .ethernet().ipv6(from: router, to: AddressFamily.v6.otherHost).icmp(type: 1).quoting(reply, octets: 9),
      .notOurs),
  ]

  /// "Packet too big", which anyone can forge.
  private static let mtuErrors: [PacketCase] =
    ([
      (1500, true), (1280, true), (1279, false), (68, false), (0, false), (0x0001_0000, true),
    ] as [(UInt32, Bool)]).map { mtu, isSound in
      PacketCase(
        .p17, "v6: MTU \(mtu)", error(2, 0, rest: mtu),
        isSound ? .forwarded(Backend.v4, flow: flow) : .dropped(.VERDICT_DROPPED_ICMP_MTU))
    }
    + [
      PacketCase(
        .p17, "v6: MTU 1400 for a flow that no service has",
        error(2, 0, rest: 1400, about: .bare.ipv6(from: vip, to: client).tcp(from: Port.unserved, to: 1)),
        .unrelated),
      PacketCase(
        .p17, "v6: MTU 68 to a host that is no VIP",
        .ethernet().ipv6(from: router, to: AddressFamily.v6.otherHost).icmp(type: 2, rest: 68).quoting(reply),
        .notOurs),
    ]
}
