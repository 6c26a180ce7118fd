// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message, reduced to what probes use.
enum ICMPMessage: Equatable {
  case echoReply(identifier: UInt16, sequence: UInt16, payload: ArraySlice<UInt8>)
  case error(Complaint, about: Quotation)

  /// The type of an ICMP error.
  enum Complaint: Equatable {
    case unreachable(String)
    /// The destination does not accept this protocol. For an encapsulated packet: no tunnel ends there.
    case protocolUnreachable
    /// The MTU in octets; 0 if the message has none.
    case tooBig(mtu: Int)
    case timeExceeded
    case parameterProblem
  }

  /// The quoted beginning of the packet that caused the error.
  struct Quotation: Equatable {
    var destination: IPAddress
    /// Whether the packet was an encapsulated IP packet.
    var isEncapsulated: Bool
    /// The echo request in the packet, or in the packet that it encapsulates; `nil` if there is none or it is cut off.
    var echo: Echo?
  }

  struct Echo: Hashable {
    var destination: IPAddress
    var identifier: UInt16
    /// The quoted part of its payload.
    var payload: ArraySlice<UInt8>
  }

  /// Encodes an echo request from its type to its payload, with the checksum for ICMP; the kernel adds that of ICMPv6.
  static func echoRequest(
    _ family: AddressFamily, identifier: UInt16, sequence: UInt16, payload: [UInt8]
  ) -> [UInt8] {
    var octets: [UInt8] = [family == .v4 ? 8 : 128, 0, 0, 0]
    octets += [
      UInt8(identifier >> 8), UInt8(identifier & 0xff), UInt8(sequence >> 8), UInt8(sequence & 0xff),
    ]
    octets += payload
    if family == .v4 {
      let sum = checksum(octets[...])
      octets[2] = UInt8(sum >> 8)
      octets[3] = UInt8(sum & 0xff)
    }
    return octets
  }

  /// Parses a message from a raw socket.
  /// - Parameter octets: from the IP header on for IPv4, from the ICMP header on for IPv6 (raw(7), RFC 3542 §3). The
  /// result is `nil` if the message is malformed or of another type.
  init?(_ family: AddressFamily, _ octets: ArraySlice<UInt8>) {
    guard let message = family == .v4 ? Self.unpacked(octets) : octets, message.count >= 8 else { return nil }
    if family == .v4, Self.checksum(message) != 0 { return nil }
    let first = message.startIndex
    let type = message[first]
    let code = message[first + 1]
    if type == (family == .v4 ? 0 : 129) {
      self = .echoReply(
        identifier: message.word(at: 4), sequence: message.word(at: 6), payload: message.dropFirst(8))
      return
    }
    let complaint =
      family == .v4 ? Self.complaint4(type, code, message) : Self.complaint6(type, code, message)
    guard let complaint, let quotation = Quotation(family, message.dropFirst(8)) else { return nil }
    self = .error(complaint, about: quotation)
  }

  private static func unpacked(_ packet: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let first = packet.first, first >> 4 == 4 else { return nil }
    let header = Int(first & 0xf) * 4
    return header >= 20 && packet.count >= header ? packet.dropFirst(header) : nil
  }

  private static func complaint4(_ type: UInt8, _ code: UInt8, _ message: ArraySlice<UInt8>) -> Complaint? {
    switch (type, code) {
    case (3, 2): .protocolUnreachable
    case (3, 3): .unreachable("port unreachable")
    case (3, 4): .tooBig(mtu: Int(message.word(at: 6)))
    case (3, 9), (3, 10), (3, 13): .unreachable("administratively prohibited")
    case (3, 0), (3, 6), (3, 11): .unreachable("network unreachable")
    case (3, _): .unreachable("host unreachable")
    case (11, _): .timeExceeded
    case (12, _): .parameterProblem
    default: nil
    }
  }

  private static func complaint6(_ type: UInt8, _ code: UInt8, _ message: ArraySlice<UInt8>) -> Complaint? {
    switch (type, code) {
    case (1, 0): .unreachable("no route")
    case (1, 1), (1, 5), (1, 6): .unreachable("administratively prohibited")
    case (1, 4): .unreachable("port unreachable")
    case (1, _): .unreachable("address unreachable")
    case (2, _): .tooBig(mtu: Int(message.word(at: 4)) << 16 | Int(message.word(at: 6)))
    case (3, _): .timeExceeded
    // Unrecognized next header: IPv6's error for a protocol that the host does not accept.
    case (4, 1): .protocolUnreachable
    case (4, _): .parameterProblem
    default: nil
    }
  }

  /// The Internet checksum (RFC 1071); 0 if the octets include a correct checksum.
  static func checksum(_ octets: ArraySlice<UInt8>) -> UInt16 {
    var sum: UInt32 = 0
    var index = octets.startIndex
    while index + 1 < octets.endIndex {
      sum += UInt32(octets[index]) << 8 | UInt32(octets[index + 1])
      index += 2
    }
    if index < octets.endIndex { sum += UInt32(octets[index]) << 8 }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
  }
}

extension ICMPMessage.Quotation {
  init?(_ family: AddressFamily, _ octets: ArraySlice<UInt8>) {
    guard let outer = Packet(octets), outer.destination.family == family else { return nil }
    destination = outer.destination
    let carried = outer.carried
    isEncapsulated = carried != nil
    echo = carried.map { Packet($0)?.echo } ?? outer.echo
  }

  /// Parses a packet that may be cut off anywhere behind its first header.
  private struct Packet {
    var destination: IPAddress
    var protocolNumber: UInt8
    var payload: ArraySlice<UInt8>

    init?(_ octets: ArraySlice<UInt8>) {
      guard let version = octets.first else { return nil }
      let first = octets.startIndex
      switch version >> 4 {
      case 4:
        let header = Int(version & 0xf) * 4
        guard header >= 20, octets.count >= header else { return nil }
        destination = IPAddress(family: .v4, octets: octets[(first + 16)..<(first + 20)])
        protocolNumber = octets[first + 9]
        payload = octets.dropFirst(header)
      case 6:
        guard octets.count >= 40 else { return nil }
        destination = IPAddress(family: .v6, octets: octets[(first + 24)..<(first + 40)])
        protocolNumber = octets[first + 6]
        payload = octets.dropFirst(40)
      default: return nil
      }
    }

    /// The packet that it carries by IPIP, GUE, FOU or GRE, as far as it is quoted; nil: none. A UDP port says nothing
    /// here: the probe whose echo request is in it is what counts.
    var carried: ArraySlice<UInt8>? {
      switch protocolNumber {
      case 4, 41: return payload
      case 47:
        guard payload.count >= 4, payload.word(at: 0) == 0 else { return nil }
        return [0x0800, 0x86dd].contains(payload.word(at: 2)) ? payload.dropFirst(4) : nil
      case 17:
        let datagram = payload.dropFirst(8)
        guard let first = datagram.first else { return nil }
        if first >> 4 == 4 || first >> 4 == 6 { return datagram }
        // A GUE header without options and flags.
        guard datagram.count >= 4, first == 0, datagram.word(at: 2) == 0 else { return nil }
        return [4, 41].contains(datagram[datagram.startIndex + 1]) ? datagram.dropFirst(4) : nil
      default: return nil
      }
    }

    var echo: ICMPMessage.Echo? {
      let isV4 = destination.family == .v4
      guard protocolNumber == (isV4 ? 1 : 58), payload.first == (isV4 ? 8 : 128), payload.count >= 6 else {
        return nil
      }
      return .init(
        destination: destination, identifier: payload.word(at: 4), payload: payload.dropFirst(8))
    }
  }
}

extension ArraySlice<UInt8> {
  /// Reads two octets in network order, which must be present.
  fileprivate func word(at offset: Int) -> UInt16 {
    UInt16(self[startIndex + offset]) << 8 | UInt16(self[startIndex + offset + 1])
  }
}
