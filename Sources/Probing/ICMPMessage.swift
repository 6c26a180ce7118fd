// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// What an ICMP (RFC 792) or ICMPv6 (RFC 4443) message says that a probe can learn from.
enum ICMPMessage: Equatable {
  case echoReply(identifier: UInt16, sequence: UInt16, payload: ArraySlice<UInt8>)
  case error(Complaint, about: Quotation)

  /// What is wrong with a packet, says somebody on its way.
  enum Complaint: Equatable {
    case unreachable(String)
    /// Nobody at the destination takes packets of this protocol: of an encapsulated one, no tunnel ends there.
    case protocolUnreachable
    /// The MTU in octets; 0: not told.
    case tooBig(mtu: Int)
    case timeExceeded
    case parameterProblem
  }

  /// The beginning of the packet that an error is about, as much as its sender quoted.
  struct Quotation: Equatable {
    var destination: IPAddress
    /// Whether the packet carried another IP packet.
    var isEncapsulated: Bool
    /// The echo request: of the packet itself, or within the encapsulated one. nil: none, or cut off.
    var echo: Echo?
  }

  struct Echo: Hashable {
    var destination: IPAddress
    var identifier: UInt16
    /// As much of its payload as was quoted.
    var payload: ArraySlice<UInt8>
  }

  /// An echo request from its type to its payload. Its checksum is filled in for ICMP; the kernel does it for ICMPv6.
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

  /// Reads what a raw socket received.
  /// - Parameter octets: from the IP header on for IPv4, from the ICMP header on for IPv6, as raw(7) and RFC 3542 §3
  ///   have it. nil: nothing of use, or damaged.
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
    // Unrecognized next header: what IPv6 says for a protocol that nobody takes.
    case (4, 1): .protocolUnreachable
    case (4, _): .parameterProblem
    default: nil
    }
  }

  /// RFC 1071; 0 over octets that hold their right checksum.
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
    isEncapsulated = outer.protocolNumber == 4 || outer.protocolNumber == 41
    echo = isEncapsulated ? Packet(outer.payload)?.echo : outer.echo
  }

  /// A packet that may be cut off anywhere behind its first header.
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
  /// Two octets in network order; there must be so many.
  fileprivate func word(at offset: Int) -> UInt16 {
    UInt16(self[startIndex + offset]) << 8 | UInt16(self[startIndex + offset + 1])
  }
}
