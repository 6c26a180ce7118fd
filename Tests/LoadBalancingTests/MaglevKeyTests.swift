// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// The wire contract of docs/affinity.md, "Table", computed here from octets alone.
@Suite("Maglev key")
struct MaglevKeyTests {
  @Test(
    "The first slot of a backend follows from the 16 octets of its address",
    arguments: [
      (
        IPAddress.v4(10, 2, 3, 4),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 2, 3, 4] as [UInt8]
      ),
      (
        IPAddress(family: .v6, bits: 0xfd00_0000_0000_0000_0000_0000_0000_0001),
        [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
      ),
    ])
  func firstSlot(address: IPAddress, octets: [UInt8]) throws {
    let size = 65_537
    let fnv = octets.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let first = Int(mix(fnv &+ 0x9e37_79b9_7f4a_7c15) % UInt64(size))
    let step = Int(mix(fnv &+ 0x3c6e_f372_fe94_f82a) % UInt64(size - 1)) + 1
    // The lower key of two takes the first turns, so its preference order shows in the table.
    let other = MaglevTable.Member(address: IPAddress(family: .v6, bits: .max), weight: 1)
    let owners = MaglevTable.build([other, .init(address: address, weight: 1)], size: size).owners
    #expect((0..<64).allSatisfy { owners[(first + $0 * step) % size] == 1 })
  }

  @Test("An IPv4 address and its IPv4-mapped form have one key")
  func mapped() {
    let v4 = IPAddress.v4(10, 2, 3, 4)
    #expect(v4.mappedBits == IPAddress(family: .v6, octets: v4.mappedOctets).bits)
  }
}
