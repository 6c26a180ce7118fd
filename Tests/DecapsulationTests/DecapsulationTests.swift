// SPDX-License-Identifier: Apache-2.0
import BPF
import Glibc
import LoadBalancing
import TestSupport
import Testing

struct RootNeeded: Error, CustomStringConvertible {
  var description: String { "loading a BPF program needs root: run the tests with sudo" }
}

@Suite("Decapsulation: packets", .serialized)
struct DecapsulationTests {
  private static let xdp = Result { try load(.xdp) }
  private static let tc = Result { try load(.tc) }

  private static func load(_ hook: Hook) throws -> Decapsulator {
    guard geteuid() == 0 else { throw RootNeeded() }
    return try Decapsulator(hook)
  }

  private func decapsulator(_ hook: Hook) throws -> Decapsulator {
    try (hook == .xdp ? Self.xdp : Self.tc).get()
  }

  @Test("becomes of it what must", arguments: TunnelledPacket.all + TunnelledPacket.congestion, Hook.allCases)
  func becomes(_ packet: TunnelledPacket, _ hook: Hook) throws {
    let frame = packet.frame.bytes
    let outcome = try decapsulator(hook).run(frame)
    #expect(outcome.counted == [packet.verdict: UInt64(frame.count)])
    #expect(outcome.output == packet.expectedOutput)
  }

  @Test("cut anywhere, nothing is decapsulated", arguments: Hook.allCases)
  func truncated(_ hook: Hook) throws {
    let decapsulator = try decapsulator(hook)
    for packet in TunnelledPacket.all where packet.frame.bytes.count < 300 {
      let frame = packet.frame.bytes
      // The kernel runs tc programs on whole IP headers only.
      for count in stride(from: hook == .tc ? 54 : 15, to: frame.count, by: 1) {
        let outcome = try decapsulator.run(Array(frame.prefix(count)))
        #expect(outcome.counted["decapsulated"] == nil, "\(packet.name), cut to \(count) octets")
      }
    }
  }

  @Test("from any other source it is dropped, to any other destination it passes", arguments: Hook.allCases)
  func endpoints(_ hook: Hook) throws {
    let decapsulator = try decapsulator(hook)
    for family in AddressFamily.allCases {
      for encapsulation in TunnelPort.encapsulations {
        let foreign = Self.frame(family, encapsulation, from: family.client, to: family.tunnelEnd)
        #expect(try decapsulator.run(foreign).counted == ["dropped_source": UInt64(foreign.count)])
        let passing = Self.frame(family, encapsulation, from: family.balancer, to: family.otherHost)
        let outcome = try decapsulator.run(passing)
        #expect(outcome.counted == ["passed_other_destination": UInt64(passing.count)])
        #expect(outcome.output == passing)
      }
    }
  }

  /// A packet for the VIP, both headers of one family.
  private static func frame(
    _ family: AddressFamily, _ encapsulation: TestEncapsulation, from source: IPAddress? = nil,
    to destination: IPAddress? = nil
  ) -> [UInt8] {
    let inner = Packet.bare.ip(from: family.client, to: family.vip).tcp(from: 1, to: 80).bytes
    let start = Packet.ethernet()
    let (source, destination) = (source ?? family.balancer, destination ?? family.tunnelEnd)
    let carrier = encapsulation.carrier(of: family)
    let outer =
      family == .v4
      ? start.ipv4(from: source, to: destination, protocol: carrier)
      : start.ipv6(from: source, to: destination, next: carrier)
    return outer.octets(encapsulation.header(of: family, length: inner.count, sourcePort: 50_000) + inner)
      .bytes
  }

  @Test("what no balancer uses passes, and what one uses does not", arguments: Hook.allCases)
  func chosen(_ hook: Hook) throws {
    guard geteuid() == 0 else { throw RootNeeded() }
    for chosen in [IPProtocol.ipv4, .udp, .gre] {
      let decapsulator = try Decapsulator(hook, protocols: chosen == .ipv4 ? [.ipv4, .ipv6] : [chosen])
      for family in AddressFamily.allCases {
        for encapsulation in TunnelPort.encapsulations {
          let frame = Self.frame(family, encapsulation)
          let carrier = encapsulation.carrier(of: .v4)
          let verdict = carrier == chosen ? "decapsulated" : "passed_not_tunnelled"
          #expect(try decapsulator.run(frame).counted == [verdict: UInt64(frame.count)], "\(encapsulation)")
        }
      }
    }
  }
}
