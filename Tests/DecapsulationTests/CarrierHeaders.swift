// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import TestSupport

/// Headers between the outer IP header and a sound packet that are not as a balancer writes them.
extension TunnelledPacket {
  static func headers(in outer: AddressFamily) -> [TunnelledPacket] {
    AddressFamily.allCases.flatMap { family in
      let packet = Packet.bare.ip(from: family.client, to: family.vip).tcp(from: 1, to: 80).bytes
      return datagrams(family, packet, in: outer) + gueHeaders(family, packet, in: outer)
        + greHeaders(family, packet, in: outer)
    }
  }

  private static func udp(to port: UInt16, length: Int, checksum: [UInt8] = [0, 0]) -> [UInt8] {
    octets(50_000) + octets(port) + octets(UInt16(length)) + checksum
  }

  private static func octets(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

  private static func datagrams(
    _ family: AddressFamily, _ packet: [UInt8], in outer: AddressFamily
  ) -> [TunnelledPacket] {
    let inner = Packet.bare.octets(packet)
    func datagram(_ name: String, _ payload: [UInt8], _ verdict: String) -> TunnelledPacket {
      TunnelledPacket("\(family): \(name)", payload, of: .udp, in: outer, verdict, becomes: inner)
    }
    return [TunnelPort.gue, TunnelPort.fou].flatMap { port in
      let whole = 8 + packet.count
      return [
        datagram(
          "UDP checksum to port \(port)", udp(to: port, length: whole, checksum: [1, 2]) + packet,
          "decapsulated"),
        datagram(
          "UDP length beyond the packet to port \(port)", udp(to: port, length: whole + 1) + packet,
          "dropped_malformed"),
        datagram(
          "UDP length short of the inner packet to port \(port)", udp(to: port, length: whole - 1) + packet,
          "dropped_malformed"),
        datagram("UDP length 7 to port \(port)", udp(to: port, length: 7) + packet, "dropped_malformed"),
        datagram("UDP length 0 to port \(port)", udp(to: port, length: 0) + packet, "dropped_malformed"),
        datagram("UDP without payload to port \(port)", udp(to: port, length: 8), "dropped_malformed"),
        datagram(
          "inner version 5 to port \(port)", udp(to: port, length: whole) + [0x55] + packet.dropFirst(),
          "dropped_malformed"),
      ]
    } + [
      datagram(
        "UDP to another port", udp(to: 6082, length: 8 + packet.count) + packet, "passed_not_tunnelled"),
      datagram(
        "a GUE header to FOU's port",
        udp(to: TunnelPort.fou, length: 12 + packet.count) + [0, family == .v4 ? 4 : 41, 0, 0] + packet,
        "dropped_malformed"),
    ]
  }

  private static func gueHeaders(
    _ family: AddressFamily, _ packet: [UInt8], in outer: AddressFamily
  ) -> [TunnelledPacket] {
    let number: UInt8 = family == .v4 ? 4 : 41
    let headers: [(String, [UInt8])] = [
      ("the other family's number", [0, 45 - number, 0, 0]), ("number 0", [0, 0, 0, 0]),
      ("number of TCP", [0, 6, 0, 0]), ("flags", [0, number, 0x80, 0]), ("the last flag", [0, number, 0, 1]),
      ("the control bit", [0x20, number, 0, 0]), ("options", [0x01, number, 0, 0]),
      ("variant 2", [0x80, number, 0, 0]), ("variant 3", [0xc0, number, 0, 0]),
    ]
    return headers.map { name, header in
      let payload = udp(to: TunnelPort.gue, length: 12 + packet.count) + header + packet
      return TunnelledPacket(
        "\(family): GUE header with \(name)", payload, of: .udp, in: outer, "dropped_malformed")
    }
  }

  /// They may belong to a tunnel of this host's own, but for a family that the type contradicts.
  private static func greHeaders(
    _ family: AddressFamily, _ packet: [UInt8], in outer: AddressFamily
  ) -> [TunnelledPacket] {
    let type: [UInt8] = family == .v4 ? [0x08, 0x00] : [0x86, 0xdd]
    let headers: [(String, [UInt8], String)] = [
      ("a checksum", [0x80, 0] + type + [0, 0, 0, 0], "passed_not_tunnelled"),
      ("a key", [0x20, 0] + type + [0, 0, 0, 1], "passed_not_tunnelled"),
      ("a sequence number", [0x10, 0] + type + [0, 0, 0, 1], "passed_not_tunnelled"),
      ("version 1", [0, 1] + type, "passed_not_tunnelled"),
      ("an Ethernet frame", [0, 0, 0x65, 0x58], "passed_not_tunnelled"),
      (
        "the other family's type", [0, 0] + (family == .v4 ? [0x86, 0xdd] : [0x08, 0x00]), "dropped_malformed"
      ),
    ]
    return headers.map { name, header, verdict in
      TunnelledPacket("\(family): GRE with \(name)", header + packet, of: .gre, in: outer, verdict)
    }
  }
}
