// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Probing

@Suite struct ICMPMessageTests {
  static let balancer = IPAddress.v4(10, 0, 0, 1)
  static let backend = IPAddress.v4(10, 0, 0, 2)
  static let vip = IPAddress.v4(192, 0, 2, 10)
  static let vip6 = IPAddress("2001:db8::10")!

  static func packet(_ proto: UInt8, to destination: IPAddress, _ payload: [UInt8]) -> [UInt8] {
    if destination.family == .v4 {
      return [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0] + balancer.octets + destination.octets + payload
    }
    return [0x60, 0, 0, 0, 0, 0, proto, 64] + IPAddress("2001:db8::1")!.octets + destination.octets + payload
  }

  static func error4(_ type: UInt8, _ code: UInt8, rest: [UInt8] = [0, 0, 0, 0], about quoted: [UInt8])
    -> [UInt8]
  {
    var message = [type, code, 0, 0] + rest + quoted
    let sum = ICMPMessage.checksum(message[...])
    message[2] = UInt8(sum >> 8)
    message[3] = UInt8(sum & 0xff)
    return packet(1, to: balancer, message)
  }

  let echo = ICMPMessage.echoRequest(.v4, identifier: 0x0102, sequence: 1, payload: [9])
  let echo6 = ICMPMessage.echoRequest(.v6, identifier: 0x0102, sequence: 1, payload: [9])

  @Test func `a request is answered by its reply, and one octet flipped is none`() {
    var reply = Self.packet(1, to: Self.balancer, echo)
    reply[20] = 0
    reply[22] &+= 8  // What the type is less, the checksum is more.
    #expect(
      ICMPMessage(.v4, reply[...]) == .echoReply(identifier: 0x0102, sequence: 1, payload: [9]))
    reply[28] ^= 1
    #expect(ICMPMessage(.v4, reply[...]) == nil)
    #expect(
      ICMPMessage(.v6, [129, 0, 0, 0, 1, 2, 0, 1, 9])
        == .echoReply(identifier: 0x0102, sequence: 1, payload: [9]))
  }

  @Test func `errors about an encapsulated request name both packets`() {
    let outer = Self.packet(4, to: Self.backend, Self.packet(1, to: Self.vip, echo))
    let quotation = ICMPMessage.Quotation(
      destination: Self.backend, isEncapsulated: true,
      echo: .init(destination: Self.vip, identifier: 0x0102, payload: [9]))
    #expect(
      ICMPMessage(.v4, Self.error4(3, 2, about: outer)[...]) == .error(.protocolUnreachable, about: quotation)
    )
    #expect(
      ICMPMessage(.v4, Self.error4(3, 4, rest: [0, 0, 0x05, 0x78], about: outer)[...])
        == .error(.tooBig(mtu: 1400), about: quotation))
    let inner6 = Self.packet(41, to: Self.backend, Self.packet(58, to: Self.vip6, echo6))
    guard
      case .error(.protocolUnreachable, let about6) = ICMPMessage(.v4, Self.error4(3, 2, about: inner6)[...])
    else {
      Issue.record("an IPv6 packet in an IPv4 one")
      return
    }
    #expect(about6.echo == .init(destination: Self.vip6, identifier: 0x0102, payload: [9]))
    let backend6 = IPAddress("2001:db8::2")!
    let outer6 = Self.packet(41, to: backend6, Self.packet(58, to: Self.vip6, echo6))
    #expect(
      ICMPMessage(.v6, ([4, 1, 0, 0, 0, 0, 0, 6] + outer6)[...])
        == .error(
          .protocolUnreachable,
          about: .init(
            destination: backend6, isEncapsulated: true,
            echo: .init(destination: Self.vip6, identifier: 0x0102, payload: [9]))))
  }

  /// Protocol of the outer header, octets between it and an IPv4 packet, and before an IPv6 packet.
  private static let carriers: [(UInt8, [UInt8], [UInt8])] = [
    (17, [0xc0, 0, 0x17, 0xc0, 0, 0, 0, 0], [0xc0, 0, 0x17, 0xc0, 0, 0, 0, 0]),
    (17, [0xc0, 0, 0x17, 0xc0, 0, 0, 0, 0, 0, 4, 0, 0], [0xc0, 0, 0x17, 0xc0, 0, 0, 0, 0, 0, 41, 0, 0]),
    (47, [0, 0, 8, 0], [0, 0, 0x86, 0xdd]),
  ]

  @Test func `a request is found behind UDP, GUE and GRE`() {
    for (number, before4, before6) in Self.carriers {
      for (before, destination, request) in [
        (before4, Self.vip, Self.packet(1, to: Self.vip, echo)),
        (before6, Self.vip6, Self.packet(58, to: Self.vip6, echo6)),
      ] {
        let outer = Self.packet(number, to: Self.backend, before + request)
        let quotation = ICMPMessage.Quotation(
          destination: Self.backend, isEncapsulated: true,
          echo: .init(destination: destination, identifier: 0x0102, payload: [9]))
        #expect(
          ICMPMessage(.v4, Self.error4(3, 3, about: outer)[...])
            == .error(.unreachable("port unreachable"), about: quotation))
        // What is cut off, or no such header, is no request.
        for length in 0..<before.count {
          #expect(ICMPMessage.Quotation(.v4, outer.prefix(20 + length))?.echo == nil)
        }
        var other = outer
        other[20 + before.count - 4] |= 0x80
        if number == 47 { #expect(ICMPMessage.Quotation(.v4, other[...])?.isEncapsulated == false) }
      }
    }
  }

  @Test func `an error that quotes eight octets tells whom it is about, and not more`() {
    let outer = Self.packet(4, to: Self.backend, Array(Self.packet(1, to: Self.vip, echo).prefix(8)))
    #expect(
      ICMPMessage(.v4, Self.error4(3, 1, about: outer)[...])
        == .error(
          .unreachable("host unreachable"),
          about: .init(destination: Self.backend, isEncapsulated: true, echo: nil)))
  }

  @Test func `whatever is cut off or damaged stops nothing`() {
    let sound = Self.error4(3, 2, about: Self.packet(4, to: Self.backend, Self.packet(1, to: Self.vip, echo)))
    for length in 0..<sound.count { _ = ICMPMessage(.v4, sound[..<length]) }
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...100)
      var octets = (0..<count).map { _ in UInt8.random(in: 0...255) }
      if count > 0 { octets[0] = [0x45, 0x46, 1, 3, 4].randomElement()! }
      _ = ICMPMessage(.v4, octets[...])
      _ = ICMPMessage(.v6, octets[...])
      _ = ICMPMessage.Quotation(.v4, octets[...])
    }
  }

  @Test func `the reason says who complained, and of what`() {
    let probe = Probe(
      kind: .icmp, destination: Self.vip, port: 0, tunnel: .loopback, timeout: .seconds(1))
    func layer(_ complaint: ICMPMessage.Complaint, by sender: IPAddress) -> ProbeLayer {
      let about = ICMPMessage.Quotation(destination: Self.backend, isEncapsulated: true, echo: nil)
      let failure = ProbeOutcome.Failure.reported(by: sender, complaint, about: about, of: probe)
      #expect(failure.reason.contains(sender.description))
      return failure.layer
    }
    #expect(layer(.protocolUnreachable, by: Self.backend) == .tunnel)
    #expect(layer(.unreachable("port unreachable"), by: Self.backend) == .tunnel)
    #expect(layer(.unreachable("host unreachable"), by: .v4(10, 0, 0, 254)) == .route)
    #expect(layer(.tooBig(mtu: 1400), by: .v4(10, 0, 0, 254)) == .mtu)
  }
}
