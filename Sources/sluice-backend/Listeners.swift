// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A TCP socket of this network namespace that waits for connections.
struct Listener: Hashable {
  let address: IPAddress
  let port: UInt16

  /// Every one of them, by `/proc/net/tcp` and `tcp6`.
  static func all() -> [Listener] {
    ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { path in
      parse(String(decoding: TextFile.read(path) ?? [], as: UTF8.self))
    }
  }

  /// Reads the listening sockets of a table in the format of `/proc/net/tcp`.
  static func parse(_ table: String) -> [Listener] {
    table.split(separator: "\n").dropFirst().compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count > 3, fields[3] == listening else { return nil }
      let parts = fields[1].split(separator: ":")
      guard parts.count == 2, let address = address(parts[0]), let port = UInt16(parts[1], radix: 16) else {
        return nil
      }
      return Listener(address: address, port: port)
    }
  }

  private static let listening = "0A"

  /// The kernel prints 32-bit words that it holds in network order as numbers of this machine.
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

  /// How far a listener takes connections to an address.
  enum Coverage { case yes, unlessIPv6Only, no }

  func covers(_ destination: IPAddress) -> Coverage {
    if address == destination { return .yes }
    guard address.bits == 0 else { return .no }
    if address.family == destination.family { return .yes }
    return address.family == .v6 ? .unlessIPv6Only : .no
  }
}
