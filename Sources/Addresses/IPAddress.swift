// SPDX-License-Identifier: Apache-2.0

/// IPv4 or IPv6.
public enum AddressFamily: UInt8, Hashable, Sendable, CaseIterable {
  case v4 = 4
  case v6 = 6

  /// Bits in an address of this family.
  public var bitWidth: Int { self == .v4 ? 32 : 128 }

  /// Octets of a bare IP header of this family.
  public var headerLength: Int { self == .v4 ? 20 : 40 }
}

/// An IPv4 or IPv6 address, without zone.
public struct IPAddress: Hashable, Sendable {
  public let family: AddressFamily
  /// The address as a number: the first octet on the wire is the most significant one of the family's width.
  public let bits: UInt128

  public init(family: AddressFamily, bits: UInt128) {
    self.family = family
    self.bits = family == .v4 ? bits & 0xffff_ffff : bits
  }

  public static func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> IPAddress {
    IPAddress(family: .v4, octets: [a, b, c, d])
  }

  /// - Parameter octets: network order; 4 or 16 of them, as the family asks.
  public init(family: AddressFamily, octets: some Sequence<UInt8>) {
    self.init(family: family, bits: octets.reduce(0) { $0 << 8 | UInt128($1) })
  }

  /// The address in network order, 4 or 16 octets.
  public var octets: [UInt8] {
    stride(from: family.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: bits >> UInt128($0))
    }
  }

  /// ``mappedOctets`` as a number, the first octet the most significant.
  public var mappedBits: UInt128 { family == .v6 ? bits : 0xffff << 32 | bits }

  /// 16 octets in network order; an IPv4 address in its IPv4-mapped form (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2).
  public var mappedOctets: [UInt8] {
    family == .v6 ? octets : [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + octets
  }

  /// Reads back what ``mappedOctets`` wrote.
  public init(mappedOctets: some Collection<UInt8>) {
    let all = IPAddress(family: .v6, octets: mappedOctets)
    self = all.bits >> 32 == 0xffff ? IPAddress(family: .v4, bits: all.bits) : all
  }
}

extension IPAddress: Comparable {
  /// IPv4 before IPv6, then by number: the order in which lists are shown and tables are computed.
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.family.rawValue, left.bits) < (right.family.rawValue, right.bits)
  }
}

extension IPAddress {
  /// Whether the address can be the destination or source of unicast traffic between hosts:
  /// not unspecified, loopback, multicast, broadcast or reserved.
  public var isUnicast: Bool {
    switch family {
    case .v4:
      let first = UInt8(truncatingIfNeeded: bits >> 24)
      return first != 0 && first != 127 && first < 224
    case .v6:
      return bits > 1 && bits >> 120 != 0xff && bits >> 32 != 0xffff
    }
  }
}

extension IPAddress {
  /// Whether it is valid on one link only: `169.254.0.0/16`, `fe80::/10`.
  public var isLinkLocal: Bool {
    family == .v4 ? bits >> 16 == 0xa9fe : bits >> 118 == 0x3fa
  }
}

extension IPAddress: LosslessStringConvertible {
  /// Accepts dotted IPv4 (four decimal octets, no leading zeros) and IPv6 text as of RFC 4291 §2.2, no zone, no prefix length.
  public init?(_ text: String) {
    guard let parsed = text.contains(":") ? Self.parseV6(text[...]) : Self.parseV4(text[...]) else {
      return nil
    }
    self = parsed
  }

  private static func parseV4(_ text: Substring) -> IPAddress? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var octets: [UInt8] = []
    for part in parts {
      guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        part == "0" || part.first != "0", let octet = UInt8(part)
      else { return nil }
      octets.append(octet)
    }
    return IPAddress(family: .v4, octets: octets)
  }

  private static func parseV6(_ text: Substring) -> IPAddress? {
    let halves = text.splitOnce(at: "::")
    guard let head = groups(halves.0, isEnd: halves.1 == nil) else { return nil }
    guard let tailText = halves.1 else {
      return head.count == 8 ? IPAddress(groups: head) : nil
    }
    guard let tail = groups(tailText, isEnd: true), head.count + tail.count <= 7 else { return nil }
    return IPAddress(groups: head + [UInt16](repeating: 0, count: 8 - head.count - tail.count) + tail)
  }

  private init(groups: [UInt16]) {
    self.init(family: .v6, bits: groups.reduce(0) { $0 << 16 | UInt128($1) })
  }

  /// - Parameter isEnd: whether the address ends with `text`: only there its last 32 bits may be dotted.
  private static func groups(_ text: Substring, isEnd: Bool) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var groups: [UInt16] = []
    for (index, part) in parts.enumerated() {
      if isEnd, index == parts.count - 1, part.contains(".") {
        guard let v4 = parseV4(part) else { return nil }
        groups += [UInt16(truncatingIfNeeded: v4.bits >> 16), UInt16(truncatingIfNeeded: v4.bits)]
      } else {
        guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit),
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups
  }

  /// Dotted IPv4, or IPv6 in the canonical form of RFC 5952; the end of an IPv4-mapped address is dotted (§5 there).
  public var description: String {
    switch family {
    case .v4:
      let all = UInt32(truncatingIfNeeded: bits)
      return "\(all >> 24).\(all >> 16 & 0xff).\(all >> 8 & 0xff).\(all & 0xff)"
    case .v6 where bits >> 32 == 0xffff: return "::ffff:\(IPAddress(family: .v4, bits: bits))"
    case .v6:
      return Self.canonicalV6((0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) })
    }
  }

  private static func canonicalV6(_ groups: [UInt16]) -> String {
    func text(_ range: Range<Int>) -> String {
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard let zeros = longestZeroRun(groups) else { return text(0..<8) }
    return text(0..<zeros.lowerBound) + "::" + text(zeros.upperBound..<8)
  }

  /// The first longest run of two or more zero groups: what `::` stands for (RFC 5952 §4.2).
  private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
    var best = 0..<1
    var start = 0
    for (index, group) in groups.enumerated() {
      guard group == 0 else {
        start = index + 1
        continue
      }
      if index + 1 - start > best.count { best = start..<(index + 1) }
    }
    return best.count >= 2 ? best : nil
  }
}

extension Substring {
  /// The text before and after the first occurrence of a two-character mark; no second part where it does not occur.
  fileprivate func splitOnce(at mark: String) -> (Substring, Substring?) {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(mark) {
        return (self[..<index], self[self.index(index, offsetBy: mark.count)...])
      }
      index = self.index(after: index)
    }
    return (self, nil)
  }
}
