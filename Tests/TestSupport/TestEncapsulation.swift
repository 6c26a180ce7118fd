// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// What is between the outer IP header and a packet, written from the documents of the formats and not from the program.
public enum TestEncapsulation: Hashable, Sendable {
  case ipip
  /// UDP, to one port.
  case gue(UInt16)
  /// UDP and GUE's own header.
  case gueHeader(UInt16)
  /// UDP, to a port for IPv4 packets and one for IPv6 packets.
  case fou(UInt16, UInt16)
  case gre
  /// No header: another link-layer address.
  case l2
  /// A number that no encapsulation has.
  case unknown(UInt8)

  /// How a backend's record names it.
  var number: UInt8 {
    switch self {
    case .ipip: 0
    case .gue: 1
    case .gueHeader: 2
    case .fou: 3
    case .gre: 4
    case .l2: 5
    case .unknown(let number): number
    }
  }

  /// The UDP destination port of packets of the family; 0: none.
  public func port(_ family: AddressFamily) -> UInt16 {
    switch self {
    case .ipip, .gre, .l2, .unknown: 0
    case .gue(let port), .gueHeader(let port): port
    case .fou(let port4, let port6): family == .v4 ? port4 : port6
    }
  }

  /// The outer IP header's protocol.
  public func carrier(of family: AddressFamily) -> IPProtocol {
    switch self {
    case .ipip, .l2, .unknown: family == .v4 ? .ipv4 : .ipv6
    case .gue, .gueHeader, .fou: .udp
    case .gre: .gre
    }
  }

  /// Octets between the outer IP header and a packet of `length` octets.
  public func header(of family: AddressFamily, length: Int, sourcePort: UInt16) -> [UInt8] {
    let number: UInt8 = family == .v4 ? 4 : 41
    func udp(_ inside: [UInt8]) -> [UInt8] {
      sourcePort.octets + port(family).octets + UInt16(8 + inside.count + length).octets + [0, 0] + inside
    }
    switch self {
    case .ipip, .l2, .unknown: return []
    case .gue, .fou: return udp([])
    case .gueHeader: return udp([0, number, 0, 0])
    case .gre: return [0, 0] + (family == .v4 ? [0x08, 0x00] : [0x86, 0xdd])
    }
  }

  /// Octets in front of a packet, on the path to a backend of the family.
  public func overhead(to family: AddressFamily) -> Int {
    self == .l2 ? 0 : family.headerLength + header(of: .v4, length: 0, sourcePort: 0).count
  }
}

/// A service of the standard scenario in front of a backend with an encapsulation of its own.
public struct EncapsulatedService: Sendable, CustomStringConvertible {
  public var port: UInt16
  public var backend: TestBackend

  public var description: String { "\(backend.encapsulation) in IP\(backend.address.family)" }

  /// The largest packet that the path takes.
  public var largest: Int {
    Int(backend.mtu) - backend.encapsulation.overhead(to: backend.address.family)
  }

  /// Each encapsulation but IPIP, towards backends of each family.
  public static let all: [EncapsulatedService] = [
    TestEncapsulation.gue(6080), .gueHeader(6081), .fou(5555, 5556), .gre, .l2,
  ].enumerated().flatMap { index, encapsulation in
    AddressFamily.allCases.enumerated().map { offset, family in
      let number = 11 + index * 2 + offset
      let source = family == .v4 ? ip("10.9.0.0") : ip("fd00:9::")
      return EncapsulatedService(
        port: UInt16(90 + number),
        backend: TestBackend(
          UInt32(number), ip(family == .v4 ? "10.0.0.\(number)" : "fd00::\(number)"), source: source,
          entropyBits: family == .v4 ? 12 : 32,
          nextHop: HardwareAddress(word: UInt64(number) << 40 | 1 << 32 | 2),
          mtu: 1400,
          encapsulation: encapsulation))
    }
  }
}
