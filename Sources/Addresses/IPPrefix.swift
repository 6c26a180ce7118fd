// SPDX-License-Identifier: Apache-2.0

/// An address prefix such as `10.0.0.0/8`; the bits after ``length`` are zero.
public struct IPPrefix: Hashable, Sendable {
  public let address: IPAddress
  public let length: Int

  /// - Returns: nil where the length does not fit the family, or bits after it are set.
  public init?(_ address: IPAddress, length: Int) {
    guard (0...address.family.bitWidth).contains(length),
      address.bits & Self.hostMask(address.family, length) == 0
    else { return nil }
    self.address = address
    self.length = length
  }

  /// The bits that vary within the prefix.
  public var hostMask: UInt128 { Self.hostMask(address.family, length) }

  private static func hostMask(_ family: AddressFamily, _ length: Int) -> UInt128 {
    let hostBits = UInt128(family.bitWidth - length)
    return hostBits == 128 ? .max : (1 << hostBits) - 1
  }

  public func contains(_ other: IPAddress) -> Bool {
    other.family == address.family && other.bits & ~hostMask == address.bits
  }
}

extension IPPrefix: LosslessStringConvertible {
  /// `ADDRESS/LENGTH`, or an address alone, which means all of its bits.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(String(parts[0])) else { return nil }
    guard parts.count == 2 else {
      self.init(address, length: address.family.bitWidth)
      return
    }
    // A number that is written back as it was read: no sign, no leading zeros.
    guard let length = Int(parts[1]), String(length) == parts[1] else { return nil }
    self.init(address, length: length)
  }

  public var description: String { "\(address)/\(length)" }
}
