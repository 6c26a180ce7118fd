// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

extension HardwareAddress: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) { self = HardwareAddress(text)! }

  /// The address in the low 48 bits, first octet lowest, as the ABI keeps it.
  public var word: UInt64 {
    octets.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  public init(word: UInt64) {
    self.init(octets: (0..<6).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) })!
  }

  public static let balancer: HardwareAddress = "02:00:00:00:00:01"
  /// Too unlike a next hop for a mutation to turn one into the other.
  public static let router: HardwareAddress = "06:d2:3c:4b:5a:99"
}
