// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// The probes' program over the maps of a forwarder, attached to nothing.
final class ProbeTunnelFixture: Sendable {
  let forwarder: ForwarderFixture
  let tunnel: ProbeTunnel

  init(capacity: Int = 16) throws {
    forwarder = try makeForwarder(.standard)
    tunnel = try ProbeTunnel(
      backends: forwarder.backendRecords, outerSources: forwarder.outerSourceRecords,
      hashKeys: forwarder.scenario.hashKeys, capacity: capacity)
  }

  /// What becomes of a packet that this host sends.
  func run(_ packet: Packet) throws -> TestRun { try tunnel.program.testRun(input: packet.bytes) }

  /// What becomes of a packet, and the counters that it raises.
  func counting(_ packet: Packet) throws -> (run: TestRun, risen: [String]) {
    let before = try tunnel.counts()
    let run = try run(packet)
    return (run, try tunnel.counts().filter { $0.value == before[$0.key]! + 1 }.map(\.key))
  }
}

/// What a traffic control program may return.
enum TCAction {
  static let unspecified = UInt32.max
  static let shot: UInt32 = 2
}

extension Packet {
  /// From this host towards its router, as the kernel's stack sends it.
  static var leaving: Packet { .ethernet(to: .router, from: .balancer) }

  static func probe(_ family: AddressFamily) -> Packet { leaving.ip(from: family.client, to: family.vip) }
}

extension ProbeFlow {
  init(
    _ family: AddressFamily, from sourcePort: UInt16 = 40000, to port: UInt16, _ transport: Transport = .tcp
  ) {
    self.init(
      source: family.client, sourcePort: sourcePort, destination: family.vip, port: port, transport: transport
    )
  }

  static func echo(_ family: AddressFamily, id: UInt16 = 7) -> ProbeFlow {
    ProbeFlow(family, from: id, to: 0, family == .v4 ? .icmp4 : .icmp6)
  }
}

@Suite("Probe tunnel: packets", .serialized)
struct ProbeTunnelTests {
  static let fixture = Result { try ProbeTunnelFixture() }

  /// A service's port, and the backend that its packets go to.
  private static let ways: [(port: UInt16, number: UInt32, transport: ProbeFlow.Transport)] =
    [
      (Port.v4, Backend.v4, .tcp), (Port.v6, Backend.v6, .tcp), (Port.v4, Backend.v4, .udp),
      (Port.v6, Backend.v6, .udp), (Port.fixedSource, Backend.fixedSource, .tcp),
      (Port.fixedSourceV6, Backend.fixedSourceV6, .tcp),
    ]
    + EncapsulatedService.all.flatMap {
      [($0.port, $0.backend.number, .tcp), ($0.port, $0.backend.number, .udp)]
    }

  @Test("a probe's packet leaves as the forwarder would send it", arguments: AddressFamily.allCases)
  func asTheForwarder(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    for (port, number, transport) in Self.ways {
      let flow = ProbeFlow(family, to: port, transport)
      try fixture.tunnel.steer(flow, to: number, fromOwnAddress: false)
      defer { fixture.tunnel.release(flow) }
      for (size, trafficClass) in [(0, 0), (1, 0xb9), (1200, 0x2e)] as [(Int, UInt8)] {
        func packet(in frame: Packet) -> Packet {
          let ip =
            family == .v4
            ? frame.ipv4(from: family.client, to: family.vip, trafficClass: trafficClass)
            : frame.ipv6(from: family.client, to: family.vip, trafficClass: trafficClass)
          return (transport == .tcp ? ip.tcp(from: 40000, to: port) : ip.udp(from: 40000, to: port)).payload(
            size)
        }
        let probe = try fixture.counting(packet(in: .leaving))
        let forwarded = try fixture.forwarder.run(packet(in: .ethernet()).bytes)
        #expect(forwarded.action == Action.transmit)
        #expect(probe.run.returnValue == TCAction.unspecified, "others at the hook see it, too")
        #expect(hex(probe.run.output) == hex(forwarded.output), "\(flow) to backend \(number)")
        #expect(probe.risen == ["sent"])
      }
    }
  }

  @Test("a pool that hashes the client alone does so for probes", arguments: AddressFamily.allCases)
  func sourceHash(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let flow = ProbeFlow(family, to: Port.sourceHash)
    fixture.forwarder.backends[Int(Backend.v4)].pool = UInt16(Port.sourceHash - 60)
    defer { fixture.forwarder.backends[Int(Backend.v4)].pool = 0 }
    try fixture.tunnel.steer(flow, to: Backend.v4, fromOwnAddress: false)
    defer { fixture.tunnel.release(flow) }
    let probe = try fixture.run(.probe(family).tcp(from: 40000, to: Port.sourceHash))
    let forwarded = try fixture.forwarder.run(
      Packet.toVIP(family).tcp(from: 40000, to: Port.sourceHash).bytes)
    #expect(hex(probe.output) == hex(forwarded.output))
  }

  @Test("echo requests travel like any packet of a probe", arguments: AddressFamily.allCases)
  func echo(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let scenario = fixture.forwarder.scenario
    for number in [Backend.v4, Backend.v6] {
      let flow = ProbeFlow.echo(family)
      try fixture.tunnel.steer(flow, to: number, fromOwnAddress: false)
      defer { fixture.tunnel.release(flow) }
      let packet = Packet.probe(family).echoRequest().payload(56)
      let backend = scenario.backend(number)
      let hash = Flow(from: family.client, 7, to: family.vip, 0, family == .v4 ? .icmp : .icmpv6)
        .hash(scenario.hashKeys)
      let expected = scenario.encapsulated(
        packet, entropyFrom: hash, to: backend, frame: packet.framing(to: backend.nextHop!, from: .balancer))
      #expect(hex(try fixture.run(packet).output) == hex(expected))
      #expect(try fixture.run(.probe(family).echoRequest(id: 8)).output.count == 14 + family.headerLength + 8)
    }
  }

  @Test(
    "from its own address: where families agree, and never with entropy", arguments: AddressFamily.allCases)
  func ownAddress(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let scenario = fixture.forwarder.scenario
    for number in [Backend.v4, Backend.v6, Backend.fixedSource] {
      let flow = ProbeFlow(family, to: Port.v4)
      try fixture.tunnel.steer(flow, to: number, fromOwnAddress: true)
      defer { fixture.tunnel.release(flow) }
      var backend = scenario.backend(number)
      if backend.address.family == family { backend.source = family.client }
      let packet = Packet.probe(family).tcp(from: 40000, to: Port.v4).payload(100)
      let expected = scenario.encapsulated(
        packet, entropyFrom: 0, to: backend, frame: packet.framing(to: backend.nextHop!, from: .balancer))
      #expect(hex(try fixture.run(packet).output) == hex(expected))
    }
  }

  @Test("what is no probe's passes untouched and uncounted", arguments: AddressFamily.allCases)
  func others(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let flows = [
      ProbeFlow(family, to: Port.v4), ProbeFlow(family, to: Port.v4, .udp), .echo(family),
      ProbeFlow(family, from: 0, to: 0), ProbeFlow(family, from: 7, to: 0),
    ]
    for flow in flows { try fixture.tunnel.steer(flow, to: Backend.v4, fromOwnAddress: false) }
    defer { for flow in flows { fixture.tunnel.release(flow) } }
    let ip = Packet.probe(family)
    let otherFamily: AddressFamily = family == .v4 ? .v6 : .v4
    var packets = [
      ip.tcp(from: 40001, to: Port.v4), ip.tcp(from: 40000, to: Port.v6), ip.udp(from: 40000, to: Port.v6),
      Packet.leaving.ip(from: family.vip, to: family.client).tcp(from: Port.v4, to: 40000),
      Packet.leaving.ip(from: family.client, to: family.otherHost).tcp(from: 40000, to: Port.v4),
      Packet.leaving.ip(from: family.otherHost, to: family.vip).tcp(from: 40000, to: Port.v4),
      Packet.probe(otherFamily).tcp(from: 40000, to: Port.v4), ip.echoReply(), ip.echoRequest(id: 8),
      ip.icmp(type: family == .v4 ? 3 : 1, rest: 0x0007_0000), Packet.ethernet(type: 0x0806).payload(46),
      Packet.leaving.vlan(5).ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.v4),
    ]
    if family == .v4 {
      func header(_ options: [UInt8] = [], more: Bool = false, offset: UInt16 = 0) -> Packet {
        .leaving.ipv4(
          from: family.client, to: family.vip, dontFragment: false, moreFragments: more,
          fragmentOffset: offset,
          options: options)
      }
      packets += [
        header([1, 1, 1, 0]), header(more: true), header(offset: 8),
      ].map { $0.tcp(from: 40000, to: Port.v4) }
    } else {
      packets += [
        ip.fragmentHeader().tcp(from: 40000, to: Port.v4),
        ip.extensionHeader(.destinationOptions).tcp(from: 40000, to: Port.v4),
      ]
    }
    for packet in packets {
      let (run, risen) = try fixture.counting(packet)
      #expect(run.returnValue == TCAction.unspecified)
      #expect(hex(run.output) == hex(packet.bytes))
      #expect(risen.isEmpty)
    }
    // Cut short, as far as the kernel runs programs on such: nobody sends it, but nothing of it may be read.
    let whole = ip.tcp(from: 40000, to: Port.v4).bytes
    for count in (14 + family.headerLength)..<(14 + family.headerLength + 8) {
      let run = try fixture.tunnel.program.testRun(input: Array(whole[..<count]))
      #expect(run.returnValue == TCAction.unspecified && run.output == Array(whole[..<count]))
    }
  }
}
