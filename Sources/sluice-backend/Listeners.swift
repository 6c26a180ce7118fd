// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A socket of this network namespace that clients can reach: a TCP socket that waits for connections, or a UDP socket
/// without a peer.
struct Listener: Hashable {
  let transport: TransportProtocol
  let address: IPAddress
  let port: UInt16

  /// All of them, from `/proc/net/tcp`, `tcp6`, `udp` and `udp6`.
  static func all() -> [Listener] {
    [("tcp", .tcp), ("tcp6", .tcp), ("udp", .udp), ("udp6", .udp)].flatMap {
      (table: String, transport: TransportProtocol) in
      parse(String(decoding: TextFile.read("/proc/net/\(table)") ?? [], as: UTF8.self), of: transport)
    }
  }

  /// Reads the sockets that listen of a table in the format of `/proc/net/tcp`.
  static func parse(_ table: String, of transport: TransportProtocol) -> [Listener] {
    let listening = transport == .tcp ? "0A" : "07"
    return table.split(separator: "\n").dropFirst().compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count > 3, fields[3] == listening else { return nil }
      let parts = fields[1].split(separator: ":")
      guard parts.count == 2, let address = address(parts[0]), let port = UInt16(parts[1], radix: 16) else {
        return nil
      }
      return Listener(transport: transport, address: address, port: port)
    }
  }

  /// The kernel prints 32-bit words, which are in network order, as numbers in host order.
  private static func address(_ text: Substring) -> IPAddress? {
    guard text.utf8.count == 8 || text.utf8.count == 32 else { return nil }
    var octets: [UInt8] = []
    var rest = text
    while !rest.isEmpty {
      guard let word = UInt32(rest.prefix(8), radix: 16) else { return nil }
      octets += (0..<4).map { UInt8(truncatingIfNeeded: word.bigEndian >> (24 - 8 * $0)) }
      rest = rest.dropFirst(8)
    }
    return octets.count == 4 ? IPAddress(family: .v4, octets: octets) : IPAddress(mappedOctets: octets)
  }

  /// Whether a listener gets what is sent to an address.
  enum Coverage { case yes, unlessIPv6Only, no }

  func covers(_ destination: IPAddress) -> Coverage {
    if address == destination { return .yes }
    guard address.bits == 0 else { return .no }
    if address.family == destination.family { return .yes }
    return address.family == .v6 ? .unlessIPv6Only : .no
  }
}
