// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// ICMP (RFC 792) and ICMPv6 (RFC 4443), as far as echo requests and what comes back for them go.
enum ICMPMessage: Equatable {
  case reply(identifier: UInt16, sequence: UInt16, payload: ArraySlice<UInt8>)
  /// Somebody on the way says why an echo request did not arrive.
  case error(identifier: UInt16, Complaint)

  struct Complaint: Equatable {
    var from: IPAddress
    var layer: ProbeLayer
    var what: String
  }

  /// The octets before an echo's payload.
  static let headerLength = 8

  /// A request. The checksum of ICMPv6 is the kernel's business.
  static func request(
    _ family: AddressFamily, identifier: UInt16, sequence: UInt16, payload: [UInt8]
  ) -> [UInt8] {
    var message: [UInt8] =
      [family == .v4 ? 8 : 128, 0, 0, 0] + octets(identifier) + octets(sequence) + payload
    if family == .v4 { message.replaceSubrange(2..<4, with: octets(checksum(message))) }
    return message
  }

  private static func octets(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

  /// Ones' complement of the ones' complement sum (RFC 1071).
  static func checksum(_ message: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: message.count, by: 2) {
      sum += UInt32(message[index]) << 8 | (index + 1 < message.count ? UInt32(message[index + 1]) : 0)
    }
    while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
    return ~UInt16(sum)
  }

  /// Reads what a raw socket received; nil where it is nothing of ours.
  /// - Parameter packet: IPv4: with its header; IPv6: the ICMPv6 message alone, which came from `sender`.
  init?(_ packet: ArraySlice<UInt8>, _ family: AddressFamily, from sender: IPAddress) {
    var message = packet
    if family == .v4 {
      guard let header = IPHeader(packet), header.family == .v4, header.next == 1 else { return nil }
      message = header.payload
    }
    guard message.count >= Self.headerLength else { return nil }
    let (type, code) = (message[message.startIndex], message[message.startIndex + 1])
    if type == (family == .v4 ? 0 : 129) {
      self = .reply(
        identifier: message.number(at: 4), sequence: message.number(at: 6), payload: message.dropFirst(8))
      return
    }
    guard let quoted = QuotedEcho(message.dropFirst(8)) else { return nil }
    let (layer, what) =
      family == .v4
      ? Self.complaint4(type, code, quoted.isTunnelled) : Self.complaint6(type, code, quoted.isTunnelled)
    self = .error(identifier: quoted.identifier, Complaint(from: sender, layer: layer, what: what))
  }

  private static func complaint4(_ type: UInt8, _ code: UInt8, _ isTunnelled: Bool) -> (ProbeLayer, String) {
    switch (type, code) {
    case (3, 4): (.mtu, "fragmentation needed")
    // The second is what Linux says where the tunnel's module is loaded and no tunnel takes the packet.
    case (3, 2) where isTunnelled: (.tunnel, "protocol unreachable: nobody takes packets out of the tunnel")
    case (3, 3) where isTunnelled: (.tunnel, "port unreachable: no tunnel takes the packet")
    case (3, 9), (3, 10), (3, 13): (.route, "administratively prohibited")
    case (3, _): (.route, "destination unreachable (code \(code))")
    case (11, _): (.route, "time exceeded: packets go in circles")
    default: (.route, "ICMP type \(type), code \(code)")
    }
  }

  private static func complaint6(_ type: UInt8, _ code: UInt8, _ isTunnelled: Bool) -> (ProbeLayer, String) {
    switch (type, code) {
    case (2, _): (.mtu, "packet too big")
    case (4, 1) where isTunnelled:
      (.tunnel, "unrecognized next header: nobody takes packets out of the tunnel")
    case (1, 4) where isTunnelled: (.tunnel, "port unreachable: no tunnel takes the packet")
    case (1, 1): (.route, "administratively prohibited")
    case (1, _): (.route, "destination unreachable (code \(code))")
    case (3, _): (.route, "time exceeded: packets go in circles")
    default: (.route, "ICMPv6 type \(type), code \(code)")
    }
  }
}

/// The echo request that an error quotes, perhaps within an outer header.
private struct QuotedEcho {
  var identifier: UInt16
  var isTunnelled = false

  init?(_ quoted: ArraySlice<UInt8>) {
    guard var header = IPHeader(quoted) else { return nil }
    if header.next == 4 || header.next == 41 {
      guard let inner = IPHeader(header.payload) else { return nil }
      header = inner
      isTunnelled = true
    }
    let echo = header.payload
    guard echo.count >= ICMPMessage.headerLength,
      (header.next, echo[echo.startIndex]) == (1, 8) || (header.next, echo[echo.startIndex]) == (58, 128)
    else { return nil }
    identifier = echo.number(at: 4)
  }
}

/// As much of an IP header as leads to what it carries; IPv6 without extension headers.
private struct IPHeader {
  var family: AddressFamily
  /// The protocol, or next header.
  var next: UInt8
  var payload: ArraySlice<UInt8>

  init?(_ packet: ArraySlice<UInt8>) {
    guard let first = packet.first else { return nil }
    let length: Int
    switch first >> 4 {
    case 4:
      family = .v4
      length = Int(first & 15) * 4
    case 6:
      family = .v6
      length = 40
    default: return nil
    }
    guard length >= family.headerLength, packet.count >= length else { return nil }
    next = packet[packet.startIndex + (family == .v4 ? 9 : 6)]
    payload = packet.dropFirst(length)
  }
}

extension ArraySlice<UInt8> {
  /// Two octets in network order.
  fileprivate func number(at offset: Int) -> UInt16 {
    UInt16(self[startIndex + offset]) << 8 | UInt16(self[startIndex + offset + 1])
  }
}
