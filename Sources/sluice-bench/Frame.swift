// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// A frame for the measured service, and where its flow's fields are.
struct Frame: Equatable {
  enum Shape: Equatable {
    /// A TCP segment with ACK, untagged, without IP options.
    case plain
    /// The same with SYN.
    case first
    /// Behind a VLAN tag.
    case tagged
    /// IPv4 with options, which are dropped, or IPv6 with a destination options header.
    case options
    /// A ping of the VIP.
    case echo
    /// An ICMP error about a packet from the VIP.
    case icmpError
  }

  private static let client4 = IPAddress.v4(11, 0, 0, 1)
  private static let client6 = IPAddress("fd00:1::1")!
  private static let router4 = IPAddress.v4(11, 255, 0, 1)
  private static let router6 = IPAddress("fd00:2::1")!

  let isIPv6: Bool
  let shape: Shape
  private(set) var octets: [UInt8] = []
  /// Offset of the last four octets of the client's address.
  private(set) var clientOffset = 0
  private(set) var portOffset = 0
  /// Offset of the last four octets of the service's address.
  private(set) var vipOffset = 0

  init(isIPv6: Bool, shape: Shape = .plain) {
    self.isIPv6 = isIPv6
    self.shape = shape
    octets = Installation.mac.octets + [2, 0, 0, 0, 0, 9]
    if shape == .tagged { octets += [0x81, 0x00, 0x00, 0x64] }
    octets += isIPv6 ? [0x86, 0xdd] : [0x08, 0x00]
    switch shape {
    case .plain, .first, .tagged, .options: appendSegment(hasOptions: shape == .options)
    case .echo: appendEcho()
    case .icmpError: appendError()
    }
  }

  private var vip: IPAddress { Installation.vip(0, isIPv6: isIPv6) }
  private var client: IPAddress { isIPv6 ? Self.client6 : Self.client4 }

  /// 40 octets of payload: 94 octets of frame for plain IPv4, 114 for IPv6.
  private mutating func appendSegment(hasOptions: Bool) {
    let tcp =
      Self.ports(0x9c40, 80) + [0, 0, 0, 1, 0, 0, 0, 1, 0x50, shape == .first ? 0x02 : 0x10, 0xff, 0xff]
      + [UInt8](repeating: 0, count: 44)
    // Four octets of no operation, or a header of padding.
    let options: [UInt8] = !hasOptions ? [] : isIPv6 ? [6, 0, 1, 4, 0, 0, 0, 0] : [1, 1, 1, 1]
    let header = ipHeader(
      client, vip, protocol: hasOptions && isIPv6 ? 60 : 6, payload: tcp.count + (isIPv6 ? options.count : 0),
      options: isIPv6 ? [] : options)
    let start = octets.count
    octets += header + (isIPv6 ? options : []) + tcp
    noteAddresses(ofHeaderAt: start, clientIsSource: true, vipIsSource: false)
    portOffset = octets.count - tcp.count
  }

  private mutating func appendEcho() {
    let echo: [UInt8] = [isIPv6 ? 128 : 8, 0, 0, 0, 0x9c, 0x40, 0, 1] + [UInt8](repeating: 0, count: 52)
    let start = octets.count
    octets += ipHeader(client, vip, protocol: isIPv6 ? 58 : 1, payload: echo.count) + echo
    noteAddresses(ofHeaderAt: start, clientIsSource: true, vipIsSource: false)
    // The identifier.
    portOffset = octets.count - echo.count + 4
  }

  /// "Time exceeded" from a router about a segment of the service to the client: the flow is that of the segment.
  private mutating func appendError() {
    let tcp = Self.ports(80, 0x9c40) + [0, 0, 0, 1]
    let inner = ipHeader(vip, client, protocol: 6, payload: 60)
    let icmp: [UInt8] = [isIPv6 ? 3 : 11, 0, 0, 0, 0, 0, 0, 0]
    octets += ipHeader(
      isIPv6 ? Self.router6 : Self.router4, vip, protocol: isIPv6 ? 58 : 1,
      payload: icmp.count + inner.count + tcp.count)
    octets += icmp
    let start = octets.count
    octets += inner + tcp
    noteAddresses(ofHeaderAt: start, clientIsSource: false, vipIsSource: true)
    portOffset = octets.count - tcp.count + 2
    // The harness restores 88 octets.
    octets += [UInt8](repeating: 0, count: max(0, 88 - octets.count))
  }

  private mutating func noteAddresses(ofHeaderAt start: Int, clientIsSource: Bool, vipIsSource: Bool) {
    let (source, destination) = isIPv6 ? (20, 36) : (12, 16)
    clientOffset = start + (clientIsSource ? source : destination)
    vipOffset = start + (vipIsSource ? source : destination)
  }

  private func ipHeader(
    _ source: IPAddress, _ destination: IPAddress, protocol number: UInt8, payload: Int, options: [UInt8] = []
  ) -> [UInt8] {
    let fixed: [UInt8] =
      isIPv6
      ? [0x60, 0, 0, 0, 0, UInt8(payload), number, 64]
      : [
        UInt8(0x45 + options.count / 4), 0, 0, UInt8(20 + options.count + payload), 0, 0, 0x40, 0, 64, number,
        0, 0,
      ]
    return fixed + source.octets + destination.octets + options
  }

  private static func ports(_ source: UInt16, _ destination: UInt16) -> [UInt8] {
    [UInt8(source >> 8), UInt8(source & 255), UInt8(destination >> 8), UInt8(destination & 255)]
  }

  /// A packet of this frame with zeros where the harness writes the flow, without the Ethernet header; the service's
  /// address stays. `frame` is as long as this one.
  func packetWithoutFlow(_ frame: [UInt8]) -> [UInt8] {
    var frame = frame
    for octet in clientOffset..<(clientOffset + 4) { frame[octet] = 0 }
    for octet in portOffset..<(portOffset + 2) { frame[octet] = 0 }
    return Array(frame[14...])
  }
}
