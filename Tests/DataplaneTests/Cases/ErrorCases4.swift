// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

private let client = AddressFamily.v4.client
private let vip = AddressFamily.v4.vip
private let router = AddressFamily.v4.routerOnTheWay

/// What the backend once sent to the client, in the VIP's name.
private let reply = Packet.bare.ipv4(from: vip, to: client, ttl: 60).tcp(from: Port.v4, to: 40000).payload(
  100)
private let datagram = Packet.bare.ipv4(from: vip, to: client).udp(from: Port.v6, to: 40000).payload(100)
private let flow = Flow(from: client, 40000, to: vip, Port.v4)
private let udpFlow = Flow(from: client, 40000, to: vip, Port.v6, .udp)

/// An error from a router on the way, about `packet`.
private func error(
  _ type: UInt8 = 3, _ code: UInt8 = 1, rest: UInt32 = 0, from source: IPAddress = router, ttl: UInt8 = 64,
  about packet: Packet = reply, octets: Int = 28
) -> Packet {
  .ethernet().ipv4(from: source, to: vip, ttl: ttl, trafficClass: 0xc0).icmp(
    type: type, code: code, rest: rest
  )
  .quoting(packet, octets: octets)
}

extension PacketCase {
  /// P16, P17 for IPv4: an ICMP error goes where the flow goes that it speaks of.
  static let errors4: [PacketCase] =
    ([(3, 0), (3, 1), (3, 3), (3, 13), (11, 0), (11, 1), (12, 0)] as [(UInt8, UInt8)]).map { type, code in
      PacketCase(
        .p16, "v4: error \(type)/\(code) about a TCP flow", error(type, code),
        .forwarded(Backend.v4, flow: flow))
    } + soundErrors + cutErrors + unrelatedErrors + mtuErrors

  private static let soundErrors: [PacketCase] = [
    PacketCase(
      .p16, "v4: about a UDP flow", error(3, 3, about: datagram), .forwarded(Backend.v6, flow: udpFlow)),
    PacketCase(
      .p16, "v4: from the client itself", error(3, 3, from: client), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: that quotes the whole packet", error(octets: 140), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: that quotes no more than the ports", error(octets: 24), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: about a packet with options",
      error(
        about: .bare.ipv4(from: vip, to: client, options: [7, 7, 4, 0, 0, 0, 0, 0]).tcp(
          from: Port.v4, to: 40000), octets: 40),
      .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: about a packet with 40 octets of options",
      error(
        about: .bare.ipv4(from: vip, to: client, options: [UInt8](repeating: 1, count: 40)).tcp(
          from: Port.v4, to: 40000),
        octets: 68), .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: about a first fragment",
      error(
        about: .bare.ipv4(from: vip, to: client, moreFragments: true).tcp(from: Port.v4, to: 40000).payload(8)
      ),
      .forwarded(Backend.v4, flow: flow)),
    PacketCase(
      .p16, "v4: about a flow of an any-port VIP",
      .ethernet().ipv4(from: router, to: AddressFamily.v4.anyPortVIP).icmp(type: 3, code: 1).quoting(
        .bare.ipv4(from: AddressFamily.v4.anyPortVIP, to: client).tcp(from: 4711, to: 40000)),
      .forwarded(Backend.v4, flow: Flow(from: client, 40000, to: AddressFamily.v4.anyPortVIP, 4711))),
    PacketCase(
      .p16, "v4: in a tagged frame",
      .ethernet().vlan(5).ipv4(from: router, to: vip).icmp(type: 3, code: 1).quoting(reply, octets: 28),
      .forwarded(Backend.v4, flow: flow)),
    PacketCase(.p16, "v4: with a TTL of 1", error(ttl: 1), .forwarded(Backend.v4, flow: flow)),
    PacketCase(.p16, "v4: with a TTL of 0", error(ttl: 0), .expired),
    PacketCase(.p16, "v4: from a source that no host has", error(from: ip("127.0.0.1")), .martian),
    PacketCase(.p16, "v4: from the VIP itself", error(from: vip), .martian),
  ]

  private static let cutErrors: [PacketCase] =
    [0, 1, 8, 19].map { octets in
      PacketCase(.p16, "v4: that quotes \(octets) octets", error(octets: octets), .truncated)
    }
    + [20, 21, 23].map { octets in
      PacketCase(
        .p16, "v4: that quotes \(octets) octets, not all of the ports", error(octets: octets), .truncated)
    }
    + [
      PacketCase(
        .p16, "v4: about a header of 15 words that is not there",
        error(
          about: .bare.ipv4(from: vip, to: client, headerWords: 15).tcp(from: Port.v4, to: 40000), octets: 40),
        .truncated),
      PacketCase(
        .p16, "v4: about a header of 4 words",
        error(about: .bare.ipv4(from: vip, to: client, headerWords: 4).tcp(from: Port.v4, to: 40000)),
        .malformed),
      PacketCase(
        .p16, "v4: about version 6",
        error(about: .bare.ipv4(from: vip, to: client, version: 6).tcp(from: Port.v4, to: 40000)), .malformed),
      PacketCase(
        .p16, "v4: whose ports lie in the frame's padding",
        .ethernet().ipv4(from: router, to: vip).icmp(type: 3, code: 1).quoting(reply, octets: 20)
          .trailing(Array(reply.bytes[20..<28])), .truncated),
      PacketCase(
        .p16, "v4: longer than its frame",
        .ethernet().ipv4(from: router, to: vip, length: 100).icmp(type: 3, code: 1).quoting(
          reply, octets: 28),
        .truncated),
      PacketCase(
        .p16, "v4: about a later fragment",
        error(about: .bare.ipv4(from: vip, to: client, fragmentOffset: 3).tcp(from: Port.v4, to: 40000)),
        .fragment),
    ]

  private static let unrelatedErrors: [PacketCase] = [
    PacketCase(
      .p16, "v4: about a packet that a VIP did not send",
      error(about: .bare.ipv4(from: AddressFamily.v4.otherHost, to: client).tcp(from: Port.v4, to: 40000)),
      .unrelated),
    PacketCase(
      .p16, "v4: about another VIP's packet",
      error(about: .bare.ipv4(from: AddressFamily.v4.anyPortVIP, to: client).tcp(from: Port.v4, to: 40000)),
      .unrelated),
    PacketCase(
      .p16, "v4: about a packet on its way to the VIP",
      error(about: .bare.ipv4(from: client, to: vip).tcp(from: 40000, to: Port.v4)), .unrelated),
    PacketCase(
      .p16, "v4: about our answer to a ping", error(about: .bare.ipv4(from: vip, to: client).echoReply()),
      .unrelated),
    PacketCase(
      .p16, "v4: about a port without service",
      error(about: .bare.ipv4(from: vip, to: client).tcp(from: Port.unserved, to: 40000)), .unrelated),
    PacketCase(
      .p16, "v4: about the service's port of the other protocol",
      error(about: .bare.ipv4(from: vip, to: client).udp(from: Port.noBackend, to: 40000)), .unrelated),
    PacketCase(
      .p16, "v4: to a host that is no VIP",
      .ethernet().ipv4(from: router, to: AddressFamily.v4.otherHost).icmp(type: 3, code: 1).quoting(
        reply, octets: 28),
      .notOurs),
    PacketCase(
      .p16, "v4: cut, to a host that is no VIP",
      .ethernet().ipv4(from: router, to: AddressFamily.v4.otherHost).icmp(type: 3, code: 1).quoting(
        reply, octets: 9),
      .notOurs),
    PacketCase(
      .p16, "v4: about a flow whose pool is empty",
      error(about: .bare.ipv4(from: vip, to: client).tcp(from: Port.noBackend, to: 40000)),
      .dropped(.VERDICT_DROPPED_NO_BACKEND)),
  ]

  /// "Fragmentation needed", which anyone can forge.
  private static let mtuErrors: [PacketCase] =
    ([
      (1500, true), (1400, true), (576, true), (552, true), (551, true), (296, true), (68, true), (67, false),
      (1, false),
      (0, true), (0xffff_0000 | 1400, true), (0xffff_0000, true), (0xffff_0000 | 67, false),
    ] as [(UInt32, Bool)]).map { mtu, isSound in
      PacketCase(
        .p17, "v4: MTU \(mtu & 0xffff)\(mtu > 0xffff ? ", and something in the unused field" : "")",
        error(3, 4, rest: mtu),
        isSound ? .forwarded(Backend.v4, flow: flow) : .dropped(.VERDICT_DROPPED_ICMP_MTU))
    }
    + [
      PacketCase(
        .p17, "v4: MTU 1400 for a flow that no service has",
        error(3, 4, rest: 1400, about: .bare.ipv4(from: vip, to: client).tcp(from: Port.unserved, to: 1)),
        .unrelated),
      PacketCase(
        .p17, "v4: MTU 68 to a host that is no VIP",
        .ethernet().ipv4(from: router, to: AddressFamily.v4.otherHost).icmp(type: 3, code: 4, rest: 68)
          .quoting(
            reply, octets: 28), .notOurs),
    ]
}
