// SPDX-License-Identifier: Apache-2.0

/// The flags of a TCP header.
public struct TCPFlags: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let fin = TCPFlags(rawValue: 0x01)
  public static let syn = TCPFlags(rawValue: 0x02)
  public static let rst = TCPFlags(rawValue: 0x04)
  public static let psh = TCPFlags(rawValue: 0x08)
  public static let ack = TCPFlags(rawValue: 0x10)
  public static let urg = TCPFlags(rawValue: 0x20)
}

extension Packet {
  /// - Parameter dataOffset: the header's length in 32-bit words as it says, where that is not the truth.
  public func tcp(
    from sourcePort: UInt16, to destinationPort: UInt16, flags: TCPFlags = .ack,
    sequence: UInt32 = 0x0102_0304, acknowledgement: UInt32 = 0x0a0b_0c0d, window: UInt16 = 0xfaf0,
    options: [UInt8] = [], dataOffset: UInt8? = nil, checksum: UInt16? = nil
  ) -> Packet {
    precondition(options.count % 4 == 0)
    return adding(
      TCPHeader(
        sourcePort: sourcePort, destinationPort: destinationPort, flags: flags, sequence: sequence,
        acknowledgement: acknowledgement, window: window, options: options, dataOffset: dataOffset,
        checksum: checksum))
  }

  /// - Parameter length: what the header says, where that is not the truth.
  public func udp(
    from sourcePort: UInt16, to destinationPort: UInt16, length: UInt16? = nil, checksum: UInt16? = nil
  ) -> Packet {
    adding(
      UDPHeader(sourcePort: sourcePort, destinationPort: destinationPort, length: length, checksum: checksum))
  }

  /// ICMP, or within an IPv6 header ICMPv6.
  /// - Parameter rest: the header's second word: identifier and sequence number, MTU, pointer.
  public func icmp(type: UInt8, code: UInt8 = 0, rest: UInt32 = 0, checksum: UInt16? = nil) -> Packet {
    let isV6 = layers.last { $0 is IPv4Header || $0 is IPv6Header } is IPv6Header
    return adding(ICMPHeader(isV6: isV6, type: type, code: code, rest: rest, checksum: checksum))
  }

  /// A ping, of the IP header's family.
  public func echoRequest(id: UInt16 = 7, sequence: UInt16 = 1) -> Packet { echo(id, sequence, [8, 128]) }

  public func echoReply(id: UInt16 = 7, sequence: UInt16 = 1) -> Packet { echo(id, sequence, [0, 129]) }

  private func echo(_ id: UInt16, _ sequence: UInt16, _ types: [UInt8]) -> Packet {
    let isV6 = layers.contains { $0 is IPv6Header }
    return icmp(type: isV6 ? types[1] : types[0], rest: UInt32(id) << 16 | UInt32(sequence))
  }
}

struct TCPHeader: Layer {
  var sourcePort, destinationPort: UInt16
  var flags: TCPFlags
  var sequence, acknowledgement: UInt32
  var window: UInt16
  var options: [UInt8]
  var dataOffset: UInt8?
  var checksum: UInt16?

  var protocolNumber: UInt8? { IPProtocol.tcp.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within outer: ArraySlice<any Layer>) -> [UInt8] {
    var header = sourcePort.octets + destinationPort.octets + sequence.octets + acknowledgement.octets
    header += [(dataOffset ?? UInt8(5 + options.count / 4)) << 4, flags.rawValue]
    header += window.octets + [0, 0, 0, 0] + options
    let sum = checksum ?? outer.transportChecksum(header + inner, IPProtocol.tcp.number)
    header.replaceSubrange(16..<18, with: sum.octets)
    return header + inner
  }
}

struct UDPHeader: Layer {
  var sourcePort, destinationPort: UInt16
  var length, checksum: UInt16?

  var protocolNumber: UInt8? { IPProtocol.udp.number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within outer: ArraySlice<any Layer>) -> [UInt8] {
    var header = sourcePort.octets + destinationPort.octets
    header += (length ?? UInt16(8 + inner.count)).octets + [0, 0]
    let sum = checksum ?? outer.transportChecksum(header + inner, IPProtocol.udp.number)
    header.replaceSubrange(6..<8, with: (sum == 0 ? 0xffff : sum).octets)
    if checksum == 0 { header.replaceSubrange(6..<8, with: [0, 0]) }
    return header + inner
  }
}

struct ICMPHeader: Layer {
  var isV6: Bool
  var type, code: UInt8
  var rest: UInt32
  var checksum: UInt16?

  var protocolNumber: UInt8? { (isV6 ? IPProtocol.icmpv6 : .icmp).number }

  func bytes(around inner: [UInt8], next: (any Layer)?, within outer: ArraySlice<any Layer>) -> [UInt8] {
    var header = [type, code, 0, 0] + rest.octets
    let whole = header + inner
    let sum =
      checksum
      ?? (isV6
        ? outer.transportChecksum(whole, IPProtocol.icmpv6.number) : internetChecksum(whole))
    header.replaceSubrange(2..<4, with: sum.octets)
    return header + inner
  }
}
