// SPDX-License-Identifier: Apache-2.0
import BPF
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// This host's stack sends to a stand-in; on the wire is the VIP.
@Suite("Probe tunnel: stand-in", .serialized)
struct ProbeStandInTests {
  private static let fixture = Result { try ProbeTunnelFixture() }

  private static func flow(_ family: AddressFamily, _ transport: ProbeFlow.Transport) -> ProbeFlow {
    var flow =
      transport == .icmp4 || transport == .icmp6
      ? ProbeFlow.echo(family) : ProbeFlow(family, to: Port.v4, transport)
    flow.standIn = family.otherHost
    return flow
  }

  private static func transports(_ family: AddressFamily) -> [ProbeFlow.Transport] {
    [.tcp, .udp, family == .v4 ? .icmp4 : .icmp6]
  }

  private static func request(_ ip: Packet, _ transport: ProbeFlow.Transport, _ size: Int) -> Packet {
    switch transport {
    case .tcp: ip.tcp(from: 40000, to: Port.v4).payload(size)
    case .udp: ip.udp(from: 40000, to: Port.v4).payload(size)
    case .icmp4, .icmp6: ip.echoRequest().payload(size)
    }
  }

  private static func answer(_ ip: Packet, _ transport: ProbeFlow.Transport, _ size: Int) -> Packet {
    switch transport {
    case .tcp: ip.tcp(from: Port.v4, to: 40000).payload(size)
    case .udp: ip.udp(from: Port.v4, to: 40000).payload(size)
    case .icmp4, .icmp6: ip.echoReply().payload(size)
    }
  }

  private func received(_ packet: Packet) throws -> TestRun {
    try Self.fixture.get().tunnel.answerProgram.testRun(input: packet.bytes)
  }

  private func steered(_ flow: ProbeFlow, _ body: (ProbeTunnel) throws -> Void) throws {
    let tunnel = try Self.fixture.get().tunnel
    try tunnel.steer(flow, to: Backend.v4, fromOwnAddress: false)
    defer { tunnel.release(flow) }
    try body(tunnel)
  }

  @Test("what is sent to the stand-in leaves as if it was sent to the VIP", arguments: AddressFamily.allCases)
  func leaves(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    for transport in Self.transports(family) {
      for size in [0, 1, 700] {
        var toVIP = Self.flow(family, transport)
        toVIP.standIn = family.vip
        var expected: TestRun?
        try steered(toVIP) { _ in expected = try fixture.run(Self.request(.probe(family), transport, size)) }
        try steered(Self.flow(family, transport)) { tunnel in
          let packet = Self.request(.leaving.ip(from: family.client, to: family.otherHost), transport, size)
          #expect(tunnel.trace(of: toVIP) == ProbeTrace(hasLeft: false, isAnswered: false))
          let run = try fixture.run(packet)
          #expect(hex(run.output) == hex(try #require(expected).output), "\(transport), \(size) octets")
          #expect(tunnel.trace(of: toVIP) == ProbeTrace(hasLeft: true, isAnswered: false))
          // The stand-in's own connections, and others to the VIP, are none of the probe's.
          let other = Packet.leaving.ip(from: family.client, to: family.otherHost).tcp(
            from: 40001, to: Port.v4)
          #expect(hex(try fixture.run(other).output) == hex(other.bytes))
          let direct = Self.request(.probe(family), transport, size)
          #expect(hex(try fixture.run(direct).output) == hex(direct.bytes))
        }
      }
    }
  }

  @Test(
    "an answer of the VIP comes in as the stand-in's, checksums included", arguments: AddressFamily.allCases)
  func answers(_ family: AddressFamily) throws {
    for transport in Self.transports(family) {
      try steered(Self.flow(family, transport)) { tunnel in
        for size in [0, 1, 700] {
          let packet = Self.answer(.ethernet().ip(from: family.vip, to: family.client), transport, size)
          let expected = Self.answer(
            .ethernet().ip(from: family.otherHost, to: family.client), transport, size)
          let run = try received(packet)
          #expect(run.returnValue == TCAction.unspecified)
          #expect(hex(run.output) == hex(expected.bytes), "\(transport), \(size) octets")
        }
        #expect(
          tunnel.trace(of: Self.flow(family, transport)) == ProbeTrace(hasLeft: false, isAnswered: true))
      }
    }
  }

  @Test("an ICMP error quotes the stand-in, whatever it quotes", arguments: AddressFamily.allCases)
  func errors(_ family: AddressFamily) throws {
    let type: UInt8 = family == .v4 ? 3 : 1
    for transport in [ProbeFlow.Transport.tcp, .udp] {
      try steered(Self.flow(family, transport)) { tunnel in
        for octets in [family.headerLength + 8, 200] {
          func error(about destination: IPAddress) -> Packet {
            let quoted = Packet.bare.ip(from: family.client, to: destination)
            // The checksum of the transport is what the probe left with: it is not looked at.
            let inner = Self.request(quoted, transport, 100)
            return .ethernet().ip(from: family.vip, to: family.client).icmp(type: type, code: 1).quoting(
              inner, octets: octets)
          }
          let run = try received(error(about: family.vip))
          let expected = error(about: family.otherHost).bytes
          let quotedHeader = 14 + family.headerLength + 8 + family.headerLength
          #expect(
            hex(Array(run.output[14...].prefix(family.headerLength)))
              == hex(
                Array(expected[14...].prefix(family.headerLength))), "the outer header stays")
          #expect(
            hex(Array(run.output[(14 + family.headerLength + 8)..<quotedHeader]))
              == hex(Array(expected[(14 + family.headerLength + 8)..<quotedHeader])), "\(transport)")
          #expect(isICMPIntact(run.output, family), "\(transport), \(octets) octets")
        }
        #expect(
          tunnel.trace(of: Self.flow(family, transport)) == ProbeTrace(hasLeft: false, isAnswered: false))
      }
    }
  }

  /// Whether the checksum of an ICMP message is right.
  private func isICMPIntact(_ frame: [UInt8], _ family: AddressFamily) -> Bool {
    let message = Array(frame[(14 + family.headerLength)...])
    guard family == .v6 else { return internetChecksum(message) == 0 }
    let length = [0, 0, UInt8(message.count >> 8), UInt8(message.count & 0xff)]
    return internetChecksum(frame[22..<54] + length + [0, 0, 0, 58] + message) == 0
  }

  @Test("what is no answer passes untouched", arguments: AddressFamily.allCases)
  func others(_ family: AddressFamily) throws {
    try steered(Self.flow(family, .tcp)) { tunnel in
      let ip = Packet.ethernet().ip(from: family.vip, to: family.client)
      let type: UInt8 = family == .v4 ? 3 : 1
      var packets = [
        ip.tcp(from: Port.v4, to: 40001), ip.tcp(from: Port.v6, to: 40000), ip.udp(from: Port.v4, to: 40000),
        ip.tcp(from: 40000, to: Port.v4), ip.echoReply(), ip.echoRequest(),
        Packet.ethernet().ip(from: family.otherHost, to: family.client).tcp(from: Port.v4, to: 40000),
        Packet.ethernet().ip(from: family.vip, to: family.otherHost).tcp(from: Port.v4, to: 40000),
        ip.icmp(type: type).quoting(
          Packet.bare.ip(from: family.client, to: family.vip).tcp(from: 40001, to: Port.v4)),
        ip.icmp(type: type).quoting(
          Packet.bare.ip(from: family.client, to: family.otherHost).tcp(from: 40000, to: Port.v4)),
        Packet.ethernet(type: 0x0806).payload(46),
      ]
      if family == .v4 {
        packets.append(
          Packet.ethernet().ipv4(
            from: family.vip, to: family.client, dontFragment: false, moreFragments: true, fragmentOffset: 0
          ).tcp(from: Port.v4, to: 40000))
      }
      for packet in packets {
        let run = try received(packet)
        #expect(run.returnValue == TCAction.unspecified && hex(run.output) == hex(packet.bytes))
      }
      #expect(tunnel.trace(of: Self.flow(family, .tcp))?.isAnswered == false)
      // Cut short.
      let whole = ip.tcp(from: Port.v4, to: 40000).bytes
      for count in (14 + family.headerLength)..<(14 + family.headerLength + 8) {
        let run = try tunnel.answerProgram.testRun(input: Array(whole[..<count]))
        #expect(run.output == Array(whole[..<count]))
      }
    }
  }

  @Test("UDP without a checksum gets none")
  func withoutChecksum() throws {
    try steered(Self.flow(.v4, .udp)) { _ in
      let ip = Packet.ethernet().ip(from: AddressFamily.v4.vip, to: AddressFamily.v4.client)
      let run = try received(ip.udp(from: Port.v4, to: 40000, checksum: 0).payload(9))
      #expect(run.output[40..<42].elementsEqual([0, 0]))
    }
  }
}
