// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import Testing

@testable import Dataplane

/// Encapsulations are stated once on each side of the ABI, and both sides agree.
@Suite("Encapsulations")
struct EncapsulationTests {
  private static let all = [
    Encapsulation(), Encapsulation(kind: .gue), Encapsulation(kind: .gue, variant: .header, port: 7000),
    Encapsulation(kind: .fou), Encapsulation(kind: .fou, port: 1, port6: 65_535), Encapsulation(kind: .gre),
    Encapsulation(kind: .l2),
  ]

  private func record(_ encapsulation: Encapsulation, _ family: AddressFamily) throws -> backend {
    let address = try #require(IPAddress(family == .v4 ? "10.0.0.1" : "fd00::1"))
    return backend(
      InstalledState.Backend(
        number: 1, pool: "p", name: "b", address: address, encapsulation: encapsulation,
        isUsable: true, pair: 0), generation: 1, pool: 1)
  }

  @Test("every kind and variant is tested")
  func complete() {
    #expect(Set(Self.all.map(\.kind)) == Set(Encapsulation.Kind.allCases))
    #expect(Set(Self.all.compactMap(\.variant)) == Set(Encapsulation.Variant.allCases))
  }

  @Test("a record has the encapsulation that it was made with", arguments: all)
  func kept(_ encapsulation: Encapsulation) throws {
    for family in AddressFamily.allCases {
      #expect(try record(encapsulation, family).encapsulation == encapsulation)
    }
  }

  @Test("the program adds as many octets as MTUs are reckoned with", arguments: all)
  func overhead(_ encapsulation: Encapsulation) throws {
    for family in AddressFamily.allCases {
      let length = outer_length(try record(encapsulation, family).next_hop)
      #expect(Int(length) == encapsulation.overhead(for: family))
    }
  }

  @Test("without an outer header, packets go to the backend's own address, and to no router", arguments: all)
  func onLink(_ encapsulation: Encapsulation) throws {
    let resolved = UInt64(NEXT_HOP_RESOLVED)
    for family in AddressFamily.allCases {
      let record = try record(encapsulation, family)
      for isOnLink in [false, true] {
        let state = NextHopState(
          mac: HardwareAddress(bits: 0x02_00_00_00_00_01), isOnLink: isOnLink, mtu: 1500)
        #expect((record.nextHop(state, path: 1) & resolved != 0) == (encapsulation.isTunnel || isOnLink))
        // Who has no source sends nothing that needs one.
        #expect((record.nextHop(state, path: 0) & resolved != 0) == (!encapsulation.isTunnel && isOnLink))
      }
      #expect(record.nextHop(NextHopState(mac: nil, isOnLink: true, mtu: 1500), path: 1) & resolved == 0)
    }
  }

  @Test("the program refuses what has no kind")
  func unknown() throws {
    let word = try record(Encapsulation(), .v4).next_hop
    let values = (0..<16).filter { value in
      let shift = UInt64(BACKEND_ENCAPSULATION_SHIFT)
      return outer_length(word & ~(15 << shift) | UInt64(value) << shift) != OUTER_LENGTH_NONE
    }
    #expect(values == Set(Self.all.map { Int($0.abi.rawValue) }).sorted())
  }

  @Test("a record whose ports are not those of its kind is not believed")
  func damaged() throws {
    let damages: [(Encapsulation, (inout backend) -> Void)] = [
      (Encapsulation(), { $0.port4 = 1 }), (Encapsulation(kind: .gre), { $0.port6 = 1 }),
      (Encapsulation(kind: .gue), { $0.port6 = 1 }), (Encapsulation(kind: .gue), { $0.port4 = 0 }),
      (Encapsulation(kind: .fou), { $0.port6 = 0 }), (Encapsulation(), { $0.next_hop |= 9 << 60 }),
    ]
    for (encapsulation, damage) in damages {
      var record = try record(encapsulation, .v4)
      damage(&record)
      #expect(record.encapsulation == nil)
    }
  }
}
