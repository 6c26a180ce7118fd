// SPDX-License-Identifier: Apache-2.0

/// The six octets that an Ethernet frame is addressed to.
public struct HardwareAddress: Hashable, Sendable {
  /// The address as a number: the first octet on the wire is the most significant one of the lower 48 bits.
  public let bits: UInt64

  /// - Parameter bits: the upper 16 bits are ignored.
  public init(bits: UInt64) {
    self.bits = bits & 0xffff_ffff_ffff
  }

  /// - Parameter octets: in the order on the wire. `nil` unless there are six of them.
  public init?(octets: some Collection<UInt8>) {
    guard octets.count == 6 else { return nil }
    self.init(bits: octets.reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// The six octets in the order on the wire.
  public var octets: [UInt8] {
    stride(from: UInt64(40), through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> $0) }
  }

  /// Whether it addresses a group of stations (multicast or broadcast) and so cannot be a next hop.
  public var isGroup: Bool { bits >> 40 & 1 == 1 }
}

extension HardwareAddress: LosslessStringConvertible {
  /// Accepts six pairs of hexadecimal digits joined by colons: `02:00:5e:10:00:01`.
  public init?(_ text: String) {
    let pairs = text.split(separator: ":", omittingEmptySubsequences: false)
    let octets = pairs.compactMap { pair -> UInt8? in
      pair.utf8.count == 2 && pair.allSatisfy(\.isHexDigit) ? UInt8(pair, radix: 16) : nil
    }
    guard octets.count == pairs.count else { return nil }
    self.init(octets: octets)
  }

  public var description: String {
    octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }
}
