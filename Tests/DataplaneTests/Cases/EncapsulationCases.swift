// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

extension PacketCase {
  /// Packets for backends of every encapsulation but IPIP, which all other cases have.
  static let encapsulations: [PacketCase] = EncapsulatedService.all.flatMap { service in
    sound(service) + sizes(service) + refused(service)
  }

  private static func sound(_ service: EncapsulatedService) -> [PacketCase] {
    let (port, number) = (service.port, service.backend.number)
    func toBackend(_ name: String, _ packet: @escaping (AddressFamily) -> Packet) -> [PacketCase] {
      both(.p22, "\(name) by \(service)", packet, .forwarded(number))
    }
    return toBackend("TCP SYN", { .syn($0, to: port) })
      + toBackend("TCP data", { .toVIP($0).tcp(from: 40001, to: port, flags: [.ack, .psh]).payload(1001) })
      + toBackend("TCP ACK in a padded frame", { .toVIP($0).tcp(from: 40002, to: port).padded(to: 80) })
      + toBackend("UDP", { .toVIP($0).udp(from: 5353, to: port).payload(40) })
      + toBackend("UDP without checksum", { .toVIP($0).udp(from: 5354, to: port, checksum: 0).payload(41) })
      + toBackend(
        "UDP with a wrong checksum", { .toVIP($0).udp(from: 5354, to: port, checksum: 0xbad0).payload(41) })
      + toBackend(
        "one VLAN tag",
        { Packet.ethernet().vlan(7).ip(from: $0.client, to: $0.vip).tcp(from: 40000, to: port) })
      + toBackend(
        "two VLAN tags",
        {
          Packet.ethernet().vlan(7, tpid: 0x88a8).vlan(9).ip(from: $0.client, to: $0.vip).udp(
            from: 9, to: port
          )
          .payload(5)
        })
      + toBackend(
        "DSCP EF and CE",
        {
          let frame = Packet.ethernet()
          let ip =
            $0 == .v4
            ? frame.ipv4(from: $0.client, to: $0.vip, trafficClass: 0xbb)
            : frame.ipv6(from: $0.client, to: $0.vip, trafficClass: 0xbb, flowLabel: 0x54321)
          return ip.tcp(from: 40000, to: port)
        })
      + both(
        .p22, "an ICMP error by \(service)",
        {
          .toVIP($0).icmp(type: $0 == .v4 ? 3 : 1, code: 1).quoting(
            .bare.ip(from: $0.vip, to: $0.client).tcp(from: port, to: 40000).payload(30))
        }, { .forwarded(number, flow: Flow(from: $0.client, 40000, to: $0.vip, port)) })
      + [
        PacketCase(
          .p22, "v6: TCP behind destination options by \(service)",
          Packet.toVIP(.v6).extensionHeader(.destinationOptions).tcp(from: 40000, to: port),
          .forwarded(number))
      ]
  }

  private static func sizes(_ service: EncapsulatedService) -> [PacketCase] {
    func packet(_ family: AddressFamily, _ excess: Int) -> Packet {
      .toVIP(family).tcp(from: 40000, to: service.port)
        .payload(service.largest - family.headerLength - 20 + excess)
    }
    return both(
      .p14, "the largest packet by \(service)", { packet($0, 0) }, .forwarded(service.backend.number))
      + both(
        .p14, "an octet too many for \(service)", { packet($0, 1) },
        {
          .answered(
            .VERDICT_ANSWERED_TOO_BIG,
            Packet.ethernet(to: .router, from: .balancer).answer(from: $0.vip, to: $0.client)
              .tooBig(mtu: UInt32(service.largest), quoting: packet($0, 1)))
        })
  }

  private static func refused(_ service: EncapsulatedService) -> [PacketCase] {
    both(.p10, "TTL 0 by \(service)", { .syn($0, to: service.port, ttl: 0) }, .expired)
      + [
        PacketCase(
          .p6, "v4: a fragment by \(service)",
          Packet.ethernet().ipv4(
            from: AddressFamily.v4.client, to: AddressFamily.v4.vip, dontFragment: false, moreFragments: true
          ).tcp(from: 40000, to: service.port), .fragment)
      ]
  }
}
