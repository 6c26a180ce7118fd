// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// An IPv4 or IPv6 address, as the kernel's tables hold it.
public struct NetworkAddress: Hashable, Sendable {
  /// IPv4 or IPv6.
  public enum Family: UInt8, Hashable, Sendable, CaseIterable {
    case v4 = 4
    case v6 = 6

    /// Octets in an address of this family.
    public var octetCount: Int { self == .v4 ? 4 : 16 }

    /// `AF_INET` or `AF_INET6`, as message headers have it.
    var addressFamily: UInt8 { UInt8(self == .v4 ? AF_INET : AF_INET6) }

    /// `nil` for what is neither `AF_INET` nor `AF_INET6`, for example a bridge's forwarding entry.
    init?(addressFamily: some BinaryInteger) {
      switch Int32(truncatingIfNeeded: addressFamily) {
      case AF_INET: self = .v4
      case AF_INET6: self = .v6
      default: return nil
      }
    }
  }

  public let family: Family
  /// The address as a number: the first octet on the wire is the most significant one of the family's width.
  public let bits: UInt128

  /// - Parameter bits: for IPv4 the lower 32 bits; those above are ignored.
  public init(family: Family, bits: UInt128) {
    self.family = family
    self.bits = family == .v4 ? bits & 0xffff_ffff : bits
  }

  /// - Parameter octets: network order. `nil` unless there are 4 or 16 of them, as the family asks.
  public init?(family: Family, octets: some Collection<UInt8>) {
    guard octets.count == family.octetCount else { return nil }
    self.init(family: family, bits: octets.reduce(0) { $0 << 8 | UInt128($1) })
  }

  /// Whether it is valid on one link only: `169.254.0.0/16`, `fe80::/10`.
  public var isLinkLocal: Bool {
    family == .v4 ? bits >> 16 == 0xa9fe : bits >> 118 == 0x3fa
  }

  /// The address in network order, 4 or 16 octets.
  public var octets: [UInt8] {
    stride(from: UInt128(family.octetCount - 1) * 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: bits >> $0)
    }
  }
}

extension NetworkAddress: LosslessStringConvertible {
  /// Accepts what `inet_pton(3)` does: dotted IPv4, IPv6 text without zone.
  public init?(_ text: String) {
    let family: Family = text.utf8.contains(UInt8(ascii: ":")) ? .v6 : .v4
    var octets = [UInt8](repeating: 0, count: family.octetCount)
    guard unsafe inet_pton(Int32(family.addressFamily), text, &octets) == 1 else { return nil }
    self.init(family: family, octets: octets)
  }

  public var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    unsafe inet_ntop(Int32(family.addressFamily), octets, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
