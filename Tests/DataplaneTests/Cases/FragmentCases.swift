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

/// An IPv4 fragment to the VIP.
private func fragment4(offset: UInt16, more: Bool, to destination: IPAddress = vip4) -> Packet {
  .ethernet().ipv4(
    from: client4, to: destination, dontFragment: false, moreFragments: more, fragmentOffset: offset,
    protocol: .udp)
}

extension PacketCase {
  /// P6: only the first fragment has ports, so none is forwarded.
  static let fragments: [PacketCase] = [
    PacketCase(
      .p6, "v4: first fragment", fragment4(offset: 0, more: true).udp(from: 40000, to: Port.v4).payload(1000),
      .fragment),
    PacketCase(.p6, "v4: later fragment", fragment4(offset: 126, more: true).payload(1000), .fragment),
    PacketCase(.p6, "v4: last fragment", fragment4(offset: 252, more: false).payload(100), .fragment),
    PacketCase(
      .p6, "v4: last fragment whose data looks like a service's ports",
      fragment4(offset: 1, more: false).tcp(from: 40000, to: Port.v4), .fragment),
    PacketCase(
      .p6, "v4: tiny first fragment, ports but no more", fragment4(offset: 0, more: true).payload(8),
      .fragment),
    PacketCase(
      .p6, "v4: tiny first fragment without ports", fragment4(offset: 0, more: true).payload(2), .fragment),
    PacketCase(
      .p6, "v4: fragment with DF",
      .ethernet().ipv4(from: client4, to: vip4, dontFragment: true, moreFragments: true)
        .udp(from: 40000, to: Port.v4).payload(64), .fragment),
    PacketCase(
      .p6, "v4: the reserved bit alone makes no fragment",
      .ethernet().ipv4(from: client4, to: vip4, dontFragment: false, fragmentOffset: 0x8000)
        .udp(from: 40000, to: Port.v4).payload(64), .forwarded(Backend.v4)),
    PacketCase(
      .p6, "v4: fragment of a ping",
      .ethernet().ipv4(from: client4, to: vip4, moreFragments: true).echoRequest().payload(64), .fragment),
    PacketCase(
      .p6, "v4: fragment to a host that is no VIP",
      fragment4(offset: 0, more: true, to: other4).udp(from: 40000, to: Port.v4).payload(64), .notOurs),
    PacketCase(
      .p6, "v4: later fragment to a host that is no VIP",
      fragment4(offset: 9, more: false, to: other4).payload(64),
      .notOurs),
    PacketCase(
      .p6, "v6: first fragment",
      .ethernet().ipv6(from: client6, to: vip6).fragmentHeader().udp(from: 40000, to: Port.v4).payload(1000),
      .fragment),
    PacketCase(
      .p6, "v6: later fragment",
      .ethernet().ipv6(from: client6, to: vip6).fragmentHeader(offset: 126).payload(1000), .fragment),
    PacketCase(
      .p6, "v6: last fragment",
      .ethernet().ipv6(from: client6, to: vip6).fragmentHeader(offset: 252, more: false).payload(100),
      .fragment),
    PacketCase(
      .p6, "v6: whole packet with a fragment header (atomic fragment)",
      .ethernet().ipv6(from: client6, to: vip6).fragmentHeader(more: false).tcp(from: 40000, to: Port.v4),
      .forwarded(Backend.v4)),
    PacketCase(
      .p6, "v6: whole datagram with a fragment header behind another header",
      .ethernet().ipv6(from: client6, to: vip6).extensionHeader(.destinationOptions)
        .fragmentHeader(more: false).udp(from: 40000, to: Port.v6).payload(64), .forwarded(Backend.v6)),
    PacketCase(
      .p6, "v6: fragment header that the frame cuts",
      .ethernet().ipv6(from: client6, to: vip6, next: .fragment, payloadLength: 8).octets([6, 0, 0]),
      .truncated),
    PacketCase(
      .p6, "v6: fragment behind hop-by-hop options",
      .ethernet().ipv6(from: client6, to: vip6).extensionHeader(.hopByHop).fragmentHeader()
        .udp(from: 40000, to: Port.v4).payload(64), .fragment),
    PacketCase(
      .p6, "v6: fragment behind as many extension headers as are walked",
      (0..<6).reduce(Packet.ethernet().ipv6(from: client6, to: vip6)) { packet, _ in
        packet.extensionHeader(.destinationOptions)
      }.fragmentHeader().udp(from: 40000, to: Port.v4), .fragment),
    PacketCase(
      .p6, "v6: fragment to a host that is no VIP",
      .ethernet().ipv6(from: client6, to: other6).fragmentHeader().udp(from: 40000, to: Port.v4).payload(64),
      .notOurs),
  ]

  /// P7: a bounded walk.
  static let extensionHeaders: [PacketCase] =
    ([
      (.hopByHop, nil, 2), (.destinationOptions, nil, 2), (.routing, nil, 2), (.routing, nil, 4),
      (.authentication, nil, 2), (.hopByHop, 3, 2), (.destinationOptions, 20, 2), (.authentication, 0, 2),
      (.authentication, 9, 2),
    ] as [(IPProtocol, UInt8?, UInt8)]).map { kind, units, routingType in
      let length = units.map { " of \($0) units" } ?? ""
      let type = kind == .routing ? " of type \(routingType)" : ""
      return PacketCase(
        .p7, "v6: header \(kind.number)\(type)\(length) before TCP",
        Packet.toVIP(.v6).extensionHeader(kind, units: units, routingType: routingType)
          .tcp(from: 40000, to: Port.v4, flags: .syn).payload(30), .forwarded(Backend.v4))
    } + extensionChains + extensionTroubles

  private static func chain(_ count: Int) -> Packet {
    (0..<count).reduce(Packet.toVIP(.v6)) { packet, index in
      packet.extensionHeader(index == 0 ? .hopByHop : .destinationOptions)
    }
  }

  private static func sourceRoute(_ packet: Packet, segmentsLeft: UInt8) -> Packet {
    packet.extensionHeader(.routing, units: 2, routingType: 0, segmentsLeft: segmentsLeft)
  }

  private static let extensionChains: [PacketCase] = [
    PacketCase(
      .p7, "v6: four different headers",
      Packet.toVIP(.v6).extensionHeader(.hopByHop).extensionHeader(.destinationOptions).extensionHeader(
        .routing
      )
      .extensionHeader(.authentication).tcp(from: 40000, to: Port.v6), .forwarded(Backend.v6)),
    PacketCase(
      .p7, "v6: UDP behind destination options",
      Packet.toVIP(.v6).extensionHeader(.destinationOptions).udp(from: 40000, to: Port.v6).payload(17),
      .forwarded(Backend.v6)),
    PacketCase(
      .p7, "v6: six headers are walked", chain(6).tcp(from: 40000, to: Port.v4), .forwarded(Backend.v4)),
    PacketCase(
      .p7, "v6: seven are too many", chain(7).tcp(from: 40000, to: Port.v4),
      .dropped(.VERDICT_DROPPED_EXTENSION_HEADERS)),
    PacketCase(
      .p7, "v6: eight are too many", chain(8).tcp(from: 40000, to: Port.v4),
      .dropped(.VERDICT_DROPPED_EXTENSION_HEADERS)),
    PacketCase(
      .p7, "v6: seven, to a host that is no VIP",
      (0..<7).reduce(Packet.toOtherHost(.v6)) { packet, _ in packet.extensionHeader(.destinationOptions) }
        .tcp(from: 40000, to: Port.v4), .notOurs),
    PacketCase(
      .p7, "v6: routing header of type 0",
      sourceRoute(.toVIP(.v6), segmentsLeft: 1).tcp(from: 40000, to: Port.v4),
      .dropped(.VERDICT_DROPPED_EXTENSION_HEADERS)),
    PacketCase(
      .p7, "v6: routing header of type 0 with 255 segments left",
      sourceRoute(.toVIP(.v6), segmentsLeft: 255).tcp(from: 40000, to: Port.v4),
      .dropped(.VERDICT_DROPPED_EXTENSION_HEADERS)),
    PacketCase(
      .p7, "v6: routing header of type 0 without segments left",
      sourceRoute(.toVIP(.v6), segmentsLeft: 0).tcp(from: 40000, to: Port.v4), .forwarded(Backend.v4)),
    PacketCase(
      .p7, "v6: routing header of type 0 without segments left, and options",
      sourceRoute(.toVIP(.v6), segmentsLeft: 0).extensionHeader(.destinationOptions)
        .udp(from: 40000, to: Port.v6).payload(9), .forwarded(Backend.v6)),
    PacketCase(
      .p7, "v6: routing header of type 2 with a segment left, which the backend judges",
      Packet.toVIP(.v6).extensionHeader(.routing, units: 2, segmentsLeft: 1).tcp(from: 40000, to: Port.v4),
      .forwarded(Backend.v4)),
    PacketCase(
      .p7, "v6: routing header of type 0 to a host that is no VIP",
      sourceRoute(.toOtherHost(.v6), segmentsLeft: 1).tcp(from: 40000, to: Port.v4), .notOurs),
    PacketCase(
      .p7, "v6: options to a host that is no VIP",
      Packet.toOtherHost(.v6).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.v4), .notOurs),
  ]

  private static let extensionTroubles: [PacketCase] = [
    PacketCase(
      .p7, "v6: a chain that leaves the frame",
      Packet.ethernet().ipv6(from: client6, to: vip6, next: .hopByHop).octets([60, 30, 1, 4, 0, 0, 0, 0]),
      .truncated),
    PacketCase(
      .p7, "v6: a last header that leaves the packet",
      Packet.ethernet().ipv6(from: client6, to: vip6, next: .hopByHop).octets([6, 30, 1, 4, 0, 0, 0, 0]),
      .malformed),
    PacketCase(
      .p7, "v6: nothing behind the IPv6 header",
      Packet.ethernet().ipv6(from: client6, to: vip6, next: .hopByHop),
      .truncated),
    PacketCase(
      .p7, "v6: payload length ends before the ports",
      Packet.ethernet().ipv6(from: client6, to: vip6, payloadLength: 15).extensionHeader(.hopByHop)
        .tcp(from: 40000, to: Port.v4), .malformed),
    PacketCase(
      .p7, "v6: payload length ends within the TCP header",
      Packet.ethernet().ipv6(from: client6, to: vip6, payloadLength: 27).extensionHeader(.hopByHop)
        .tcp(from: 40000, to: Port.v4), .malformed),
    PacketCase(
      .p7, "v6: options, and payload length beyond the frame",
      Packet.ethernet().ipv6(from: client6, to: vip6, payloadLength: 29).extensionHeader(.hopByHop)
        .tcp(from: 40000, to: Port.v4), .truncated),
    PacketCase(
      .p7, "v6: options, and hop limit 1",
      Packet.toVIP(.v6, ttl: 1).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.v4),
      .forwarded(Backend.v4)),
    PacketCase(
      .p7, "v6: options, and hop limit 0",
      Packet.toVIP(.v6, ttl: 0).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.v4), .expired),
    PacketCase(
      .p7, "v6: options, and a source that no client has",
      Packet.ethernet().ipv6(from: ip("::1"), to: vip6).extensionHeader(.hopByHop).tcp(
        from: 40000, to: Port.v4),
      .martian),
    PacketCase(
      .p7, "v6: options, and a UDP length beyond the packet",
      Packet.toVIP(.v6).extensionHeader(.hopByHop).udp(from: 40000, to: Port.v4, length: 13).payload(4),
      .malformed),
    PacketCase(
      .p7, "v6: options, and a TCP header of 4 words",
      Packet.toVIP(.v6).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.v4, dataOffset: 4), .malformed),
    PacketCase(
      .p7, "v6: options, and a trailer of the link",
      Packet.toVIP(.v6).extensionHeader(.hopByHop).tcp(from: 40000, to: Port.v4).trailing([9, 9, 9]),
      .forwarded(Backend.v4)),
  ]
}
