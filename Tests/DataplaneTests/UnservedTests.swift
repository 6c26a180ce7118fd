// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// What becomes of packets for a VIP that no service has, by `unserved`; `PacketTests` has the cases of `reject`.
@Suite("Packets that no service has", .serialized)
struct UnservedTests {
  /// Cases in which a packet is refused, or cannot be answered.
  private static let cases = PacketCase.unserved.filter {
    [.VERDICT_ANSWERED_UNSERVED, .VERDICT_DROPPED_UNSERVED].contains($0.expectation.verdict)
  }

  private static func forwarder(_ unserved: unserved) throws -> ForwarderFixture {
    var scenario = Scenario.standard
    scenario.unserved = unserved
    return try makeForwarder(scenario)
  }

  @Test("drop: none is answered")
  func drop() throws {
    let forwarder = try Self.forwarder(.UNSERVED_DROP)
    #expect(Self.cases.count > 60)
    for packetCase in Self.cases {
      let run = try forwarder.run(packetCase.packet.bytes)
      #expect(Array(run.counts.risen.keys) == [.VERDICT_DROPPED_UNSERVED], "\(packetCase.testDescription)")
      #expect(run.action == Action.drop)
    }
  }

  @Test("pass: each goes to the stack without a changed octet, whatever is odd about it")
  func pass() throws {
    let forwarder = try Self.forwarder(.UNSERVED_PASS)
    for packetCase in PacketCase.unserved {
      // What a served port's packet is dropped for before its port is read.
      guard
        packetCase.expectation.verdict != .VERDICT_DROPPED_TRUNCATED || packetCase.packet.bytes.count >= 54
      else { continue }
      let run = try forwarder.run(packetCase.packet.bytes)
      #expect(Array(run.counts.risen.keys) == [.VERDICT_PASSED_UNSERVED], "\(packetCase.testDescription)")
      #expect(run.output == packetCase.packet.bytes)
    }
  }

  @Test("services and pings do not depend on it", arguments: AddressFamily.allCases)
  func services(_ family: AddressFamily) throws {
    for policy in [unserved.UNSERVED_DROP, .UNSERVED_PASS] {
      let forwarder = try Self.forwarder(policy)
      #expect(try forwarder.run(Packet.syn(family).bytes).counts[.VERDICT_FORWARDED].packets == 1)
      let ping = try forwarder.run(Packet.toVIP(family).echoRequest().bytes)
      #expect(ping.counts[.VERDICT_ANSWERED_ECHO].packets == 1)
      let stranger = try forwarder.run(Packet.toOtherHost(family).tcp(from: 1, to: Port.unserved).bytes)
      #expect(stranger.counts[.VERDICT_PASSED_NOT_OURS].packets == 1)
    }
  }
}
