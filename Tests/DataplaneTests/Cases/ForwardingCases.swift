// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport

extension PacketCase {
  /// Sound packets for a service: all four combinations of families, and what the outer header takes over.
  static let forwarding: [PacketCase] =
    both(.plain, "TCP SYN to an IPv4 backend", { .syn($0) }, .forwarded(Backend.v4))
    + both(.plain, "TCP SYN to an IPv6 backend", { .syn($0, to: Port.v6) }, .forwarded(Backend.v6))
    + both(
      .plain, "TCP data to an IPv4 backend",
      { .toVIP($0).tcp(from: 40001, to: Port.v4, flags: [.ack, .psh]).payload(1000) }, .forwarded(Backend.v4))
    + both(
      .plain, "TCP data to an IPv6 backend",
      { .toVIP($0).tcp(from: 40001, to: Port.v6, flags: [.ack, .psh]).payload(1001) }, .forwarded(Backend.v6))
    + both(
      .plain, "TCP ACK without payload", { .toVIP($0).tcp(from: 40001, to: Port.v4) }, .forwarded(Backend.v4))
    + both(
      .plain, "TCP FIN", { .toVIP($0).tcp(from: 40001, to: Port.v4, flags: [.fin, .ack]) },
      .forwarded(Backend.v4))
    + both(
      .plain, "TCP RST", { .toVIP($0).tcp(from: 40001, to: Port.v6, flags: .rst) }, .forwarded(Backend.v6))
    + both(
      .plain, "TCP SYN with options",
      {
        .toVIP($0).tcp(
          from: 40001, to: Port.v4, flags: .syn, options: [2, 4, 5, 0xb4, 4, 2, 1, 1, 3, 3, 7, 0])
      }, .forwarded(Backend.v4))
    + both(
      .plain, "UDP to an IPv4 backend", { .toVIP($0).udp(from: 5353, to: Port.v4).payload(40) },
      .forwarded(Backend.v4))
    + both(
      .plain, "UDP to an IPv6 backend", { .toVIP($0).udp(from: 5353, to: Port.v6).payload(41) },
      .forwarded(Backend.v6))
    + both(
      .plain, "a backend whose IPv4 outer source is fixed", { .syn($0, to: Port.fixedSource) },
      .forwarded(Backend.fixedSource))
    + both(
      .plain, "a backend whose IPv6 outer source is fixed, third of its pool's counters",
      { .syn($0, to: Port.fixedSourceV6) }, .forwarded(Backend.fixedSourceV6))
    + both(
      .plain, "a pool that hashes the client alone", { .syn($0, to: Port.sourceHash) }, .forwarded(Backend.v4)
    )
    + both(
      .plain, "another flow of that client: same backend, other entropy",
      { .toVIP($0).tcp(from: 40001, to: Port.sourceHash) }, .forwarded(Backend.v4))
    + both(
      .plain, "full size, 1500 octets",
      { .toVIP($0).tcp(from: 40001, to: Port.v6).payload($0 == .v4 ? 1460 : 1440) }, .forwarded(Backend.v6))
    + both(
      .plain, "any-port VIP, TCP",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).tcp(from: 1, to: 65535) },
      .forwarded(Backend.v4))
    + both(
      .plain, "any-port VIP, UDP",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).udp(from: 65535, to: 1).payload(3) },
      .forwarded(Backend.v4))
    + both(
      .plain, "a service of the exact port comes before that of any port",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).tcp(from: 40000, to: Port.exact) },
      .forwarded(Backend.v6))
    + both(
      .plain, "the exact port's other protocol is that of any port",
      { Packet.ethernet().ip(from: $0.client, to: $0.anyPortVIP).udp(from: 40000, to: Port.exact) },
      .forwarded(Backend.v4))
    + trafficClasses

  /// DSCP and ECN go to the outer header, whole.
  private static let trafficClasses: [PacketCase] =
    [(0xb8, "DSCP EF"), (0x2a, "DSCP AF11 and ECT(0)"), (0x01, "ECT(1)"), (0x03, "CE"), (0xff, "all bits")]
    .flatMap { (value: UInt8, name: String) in
      [Port.v4, Port.v6].flatMap { port in
        [
          PacketCase(
            .plain, "v4: \(name) to an IPv\(port == Port.v4 ? 4 : 6) backend",
            .ethernet().ipv4(
              from: AddressFamily.v4.client, to: AddressFamily.v4.vip, trafficClass: value
            ).tcp(from: 40000, to: port), .forwarded(port == Port.v4 ? Backend.v4 : Backend.v6)),
          PacketCase(
            .plain, "v6: \(name) to an IPv\(port == Port.v4 ? 4 : 6) backend",
            .ethernet().ipv6(
              from: AddressFamily.v6.client, to: AddressFamily.v6.vip, trafficClass: value, flowLabel: 0xabcde
            ).tcp(from: 40000, to: port), .forwarded(port == Port.v4 ? Backend.v4 : Backend.v6)),
        ]
      }
    }
}
