// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

@Suite("Probe tunnel: limits", .serialized)
struct ProbeLimitTests {
  static let fixture = Result { try ProbeTunnelFixture() }

  private func becomes(
    of packet: Packet, _ flow: ProbeFlow, to number: UInt32, _ fixture: ProbeTunnelFixture
  ) throws -> (action: UInt32, count: [String]) {
    try fixture.tunnel.steer(flow, to: number, fromOwnAddress: false)
    defer { fixture.tunnel.release(flow) }
    let (run, risen) = try fixture.counting(packet)
    return (run.returnValue, risen)
  }

  @Test("the largest packet is sent, a larger one dropped and counted", arguments: AddressFamily.allCases)
  func tooBig(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let wrapped = EncapsulatedService.all.map(\.backend.number)
    for number in [Backend.v4, Backend.v6, Backend.smallMTUv4, Backend.smallMTUv6] + wrapped {
      let flow = ProbeFlow(family, to: Port.v4, .udp)
      let backend = fixture.forwarder.scenario.backend(number)
      let largest = Int(backend.mtu) - backend.encapsulation.overhead(to: backend.address.family)
      func packet(_ length: Int) -> Packet {
        .probe(family).udp(from: 40000, to: Port.v4).payload(length - family.headerLength - 8)
      }
      #expect(try becomes(of: packet(largest), flow, to: number, fixture) == (TCAction.unspecified, ["sent"]))
      #expect(try becomes(of: packet(largest + 1), flow, to: number, fixture) == (TCAction.shot, ["too_big"]))
    }
  }

  @Test("why a packet is dropped", arguments: AddressFamily.allCases)
  func dropped(_ family: AddressFamily) throws {
    let fixture = try Self.fixture.get()
    let flow = ProbeFlow(family, to: Port.v4)
    let packet = Packet.probe(family).tcp(from: 40000, to: Port.v4, flags: .syn)
    #expect(try becomes(of: packet, flow, to: Backend.noNextHop, fixture) == (TCAction.shot, ["no_next_hop"]))
    #expect(try becomes(of: packet, flow, to: Backend.zeroMTU, fixture) == (TCAction.shot, ["too_big"]))
    #expect(
      try becomes(of: packet, flow, to: Backend.unknownEncapsulation, fixture) == (TCAction.shot, ["invalid"])
    )

    // A number that another backend got while the probe was under way.
    try fixture.tunnel.steer(flow, to: Backend.v4, fromOwnAddress: false)
    defer { fixture.tunnel.release(flow) }
    fixture.forwarder.backends[Int(Backend.v4)].generation += 1
    defer { fixture.forwarder.backends[Int(Backend.v4)].generation -= 1 }
    #expect(try fixture.counting(packet).risen == ["backend_gone"])
  }

  @Test("a backend that is down is what is probed")
  func unusable() throws {
    let fixture = try Self.fixture.get()
    let packet = Packet.probe(.v4).tcp(from: 40000, to: Port.v4)
    let flow = ProbeFlow(.v4, to: Port.v4)
    #expect(try becomes(of: packet, flow, to: Backend.unusable, fixture) == (TCAction.unspecified, ["sent"]))
    #expect(try fixture.counting(packet).risen.isEmpty, "released, it is no probe's")
  }

  @Test("flows that cannot be steered are refused with the reason")
  func refused() throws {
    let fixture = try ProbeTunnelFixture(capacity: 4)
    for number: UInt32 in [0, 700, ForwarderFixture.backendCount, .max] {
      let error = #expect(throws: DataplaneError.self) {
        try fixture.tunnel.steer(.echo(.v4), to: number, fromOwnAddress: false)
      }
      #expect(error?.description == "no backend has the number \(number)")
    }
    for id: UInt16 in 1...4 { try fixture.tunnel.steer(.echo(.v6, id: id), to: 1, fromOwnAddress: false) }
    let error = #expect(throws: DataplaneError.self) {
      try fixture.tunnel.steer(.echo(.v6, id: 5), to: 1, fromOwnAddress: false)
    }
    #expect(error?.description.contains("The map is full") == true)
    try fixture.tunnel.steer(.echo(.v6, id: 4), to: 2, fromOwnAddress: true)
    fixture.tunnel.release(.echo(.v6, id: 4))
    try fixture.tunnel.steer(.echo(.v6, id: 5), to: 1, fromOwnAddress: false)
  }
}
