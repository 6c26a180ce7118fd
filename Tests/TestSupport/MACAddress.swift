// SPDX-License-Identifier: Apache-2.0

/// An Ethernet address.
public struct MACAddress: Hashable, Sendable, ExpressibleByStringLiteral {
  public var octets: [UInt8]

  public init(stringLiteral text: String) {
    octets = text.split(separator: ":").map { UInt8($0, radix: 16)! }
    precondition(octets.count == 6)
  }

  /// The address in the low 48 bits, first octet lowest, as the ABI keeps it.
  public var word: UInt64 {
    octets.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  public init(word: UInt64) {
    octets = (0..<6).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
  }

  public static let balancer: MACAddress = "02:00:00:00:00:01"
  /// Too unlike a next hop for a mutation to turn one into the other.
  public static let router: MACAddress = "06:d2:3c:4b:5a:99"
}
