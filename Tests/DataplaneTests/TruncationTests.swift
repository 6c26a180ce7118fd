// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@Suite("Truncated packets", .serialized)
struct TruncationTests {
  private static let forwarder = Result { try makeForwarder(.standard) }

  /// The kernel refuses to run a program on less than an Ethernet header.
  private static let shortest = 14

  @Test("P1 every case's packet, cut at every length, becomes something sound")
  func everyLength() throws {
    let forwarder = try Self.forwarder.get()
    var invariants = Invariants(forwarder.scenario)
    let before = try forwarder.counts()
    var output = [UInt8](repeating: 0, count: 4096)
    for packetCase in PacketCase.all {
      var frame = packetCase.packet.bytes
      // Nothing reads beyond the first octets of a large payload: cut it coarsely.
      while frame.count >= Self.shortest {
        let outcome = try forwarder.program.testRun(input: frame, output: &output)
        if let flaw = invariants.flaw(frame, outcome.returnValue, output, outcome.outputCount) {
          Issue.record("\(packetCase.testDescription), cut to \(frame.count): \(flaw)")
        }
        frame.removeLast(frame.count > 700 ? 13 : 1)
      }
    }
    let counts = try forwarder.counts() - before
    invariants.expectConservation(counts)
    print("truncation: \(invariants.summary(counts))")
  }

  @Test(
    "P1 cut within its headers, nothing is forwarded; cut within its payload, nothing for a VIP is, either")
  func cutServicePackets() throws {
    let forwarder = try Self.forwarder.get()
    for family in AddressFamily.allCases {
      for port in [Port.v4, Port.v6] {
        let frame = Packet.toVIP(family).tcp(from: 40000, to: port).payload(50).bytes
        #expect(try forwarder.run(frame).action == Action.transmit)
        for count in Self.shortest..<frame.count {
          let run = try forwarder.run(Array(frame[..<count]))
          #expect(run.action != Action.transmit, "\(family), port \(port), cut to \(count)")
          // With all of the IP header, it is known to be for a VIP.
          let headers = 14 + family.headerLength
          #expect(
            run.counts.risen.keys.first
              == (count < headers ? .VERDICT_PASSED_NOT_OURS : .VERDICT_DROPPED_TRUNCATED))
        }
      }
    }
  }
}
