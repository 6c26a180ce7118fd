// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// Numbers in IP headers' protocol and next-header fields.
public struct IPProtocol: Hashable, Sendable {
  public var number: UInt8

  public init(_ number: UInt8) { self.number = number }

  public static let hopByHop = IPProtocol(0)
  public static let icmp = IPProtocol(1)
  public static let ipv4 = IPProtocol(4)
  public static let tcp = IPProtocol(6)
  public static let udp = IPProtocol(17)
  public static let ipv6 = IPProtocol(41)
  public static let routing = IPProtocol(43)
  public static let fragment = IPProtocol(44)
  public static let gre = IPProtocol(47)
  public static let encapsulatedSecurity = IPProtocol(50)
  public static let authentication = IPProtocol(51)
  public static let icmpv6 = IPProtocol(58)
  public static let noNextHeader = IPProtocol(59)
  public static let destinationOptions = IPProtocol(60)
}

extension Packet {
  /// - Parameters:
  ///   - fragmentOffset: in units of eight octets.
  ///   - headerWords, length: what the header says, where that is not the truth.
  public func ipv4(
    from source: IPAddress, to destination: IPAddress, ttl: UInt8 = 64, trafficClass: UInt8 = 0,
    id: UInt16 = 0x1234, dontFragment: Bool = true, moreFragments: Bool = false, fragmentOffset: UInt16 = 0,
    protocol protocolNumber: IPProtocol? = nil, options: [UInt8] = [], version: UInt8 = 4,
    headerWords: UInt8? = nil, length: UInt16? = nil, checksum: UInt16? = nil
  ) -> Packet {
    precondition(source.family == .v4 && destination.family == .v4 && options.count % 4 == 0)
    return adding(
      IPv4Header(
        source: source, destination: destination, ttl: ttl, trafficClass: trafficClass, id: id,
        fragment: (dontFragment ? 0x4000 : 0) | (moreFragments ? 0x2000 : 0) | fragmentOffset,
        payloadProtocol: protocolNumber, options: options, version: version, headerWords: headerWords,
        length: length, checksum: checksum))
  }

  /// - Parameter payloadLength: what the header says, where that is not the truth.
  public func ipv6(
    from source: IPAddress, to destination: IPAddress, hopLimit: UInt8 = 64, trafficClass: UInt8 = 0,
    flowLabel: UInt32 = 0, next: IPProtocol? = nil, version: UInt8 = 6, payloadLength: UInt16? = nil
  ) -> Packet {
    precondition(source.family == .v6 && destination.family == .v6)
    return adding(
      IPv6Header(
        source: source, destination: destination, hopLimit: hopLimit, trafficClass: trafficClass,
        flowLabel: flowLabel, next: next, version: version, payloadLength: payloadLength))
  }

  /// Of the addresses' own family, with nothing special about it.
  public func ip(from source: IPAddress, to destination: IPAddress, ttl: UInt8 = 64) -> Packet {
    destination.family == .v4
      ? ipv4(from: source, to: destination, ttl: ttl) : ipv6(from: source, to: destination, hopLimit: ttl)
  }

  /// An IPv6 extension header. `units`: what its length field says; its true length is `8 + 8 * units` octets, of an
  /// authentication header `8 + 4 * units`.
  public func extensionHeader(
    _ kind: IPProtocol, units: UInt8? = nil, routingType: UInt8 = 2, segmentsLeft: UInt8 = 0
  ) -> Packet {
    adding(
      ExtensionHeader(
        kind: kind, units: units ?? (kind == .authentication ? 4 : 0), routingType: routingType,
        segmentsLeft: segmentsLeft))
  }

  /// An IPv6 fragment header; `offset` in units of eight octets.
  public func fragmentHeader(offset: UInt16 = 0, more: Bool = true) -> Packet {
    adding(FragmentHeader(offset: offset, more: more))
  }
}

struct IPv4Header: Layer {
  var source, destination: IPAddress
  var ttl, trafficClass: UInt8
  var id, fragment: UInt16
  var payloadProtocol: IPProtocol?
  var options: [UInt8]
  var version: UInt8
  var headerWords: UInt8?
  var length, checksum: UInt16?

  var etherType: UInt16? { 0x0800 }
  var protocolNumber: UInt8? { IPProtocol.ipv4.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    let headerCount = 20 + options.count
    let words = headerWords ?? UInt8(headerCount / 4)
    var header = [version << 4 | words, trafficClass]
    header += (length ?? UInt16(headerCount + inner.count)).octets + id.octets + fragment.octets
    header += [ttl, payloadProtocol?.number ?? next?.protocolNumber ?? 253, 0, 0]
    header += source.octets + destination.octets + options
    header.replaceSubrange(10..<12, with: (checksum ?? internetChecksum(header)).octets)
    return header + inner
  }
}

struct IPv6Header: Layer {
  var source, destination: IPAddress
  var hopLimit, trafficClass: UInt8
  var flowLabel: UInt32
  var next: IPProtocol?
  var version: UInt8
  var payloadLength: UInt16?

  var etherType: UInt16? { 0x86dd }
  var protocolNumber: UInt8? { IPProtocol.ipv6.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    let first = UInt32(version) << 28 | UInt32(trafficClass) << 20 | flowLabel
    let nextNumber = self.next?.number ?? next?.protocolNumber ?? 253
    return first.octets + (payloadLength ?? UInt16(inner.count)).octets + [nextNumber, hopLimit]
      + source.octets + destination.octets + inner
  }
}

struct ExtensionHeader: Layer {
  var kind: IPProtocol
  var units: UInt8
  var routingType, segmentsLeft: UInt8

  var protocolNumber: UInt8? { kind.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    let count = 8 + Int(units) * (kind == .authentication ? 4 : 8)
    var header = [next?.protocolNumber ?? 253, units]
    if kind == .routing {
      header += [routingType, segmentsLeft]
    } else if kind != .authentication {
      header += [1, UInt8(truncatingIfNeeded: min(count - 4, 255))]  // PadN over the rest
    }
    return header + [UInt8](repeating: 0, count: count - header.count) + inner
  }
}

struct FragmentHeader: Layer {
  var offset: UInt16
  var more: Bool

  var protocolNumber: UInt8? { IPProtocol.fragment.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within: ArraySlice<any Layer>) -> [UInt8] {
    [next?.protocolNumber ?? 253, 0] + (offset << 3 | (more ? 1 : 0)).octets + UInt32(0xfeed).octets + inner
  }
}

extension ArraySlice<any Layer> {
  /// The checksum of a transport layer within the innermost IP header (RFC 9293 §3.1, RFC 8200 §8.1).
  func transportChecksum(_ octets: [UInt8], _ number: UInt8) -> UInt16 {
    for layer in reversed() {
      if let ip = layer as? IPv4Header {
        let pseudo = ip.source.octets + ip.destination.octets + [0, number]
        return internetChecksum(pseudo + UInt16(truncatingIfNeeded: octets.count).octets + octets)
      }
      if let ip = layer as? IPv6Header {
        let pseudo = ip.source.octets + ip.destination.octets
        return internetChecksum(
          pseudo + UInt32(octets.count).octets + UInt32(number).octets + octets)
      }
    }
    return internetChecksum(octets)
  }
}
