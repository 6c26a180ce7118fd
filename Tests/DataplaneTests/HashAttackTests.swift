// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import ForwardingModel
import LoadBalancing
import TestSupport
import Testing

/// Whether somebody who sees which backends answer, but does not know the seed, can aim flows at one of them.
@Suite("Flow hash under attack")
struct HashAttackTests {
  private static let slots: UInt32 = 65537
  private static let backends = 100
  /// How often a step may keep the backend. Chance is one in a hundred.
  private static let bound = 0.03

  private static let owners = MaglevTable.build(
    (0..<backends).map { MaglevTable.Member(address: .v4(10, 0, 0, UInt8($0)), weight: 1) }, size: Int(slots)
  ).owners

  private static func backend(_ hash: UInt32) -> UInt16 { UInt16(owners[Int(hash_slot(hash, slots))]) }

  /// How often a step keeps the backend of flows that the attacker has not seen.
  private static func share(
    _ random: inout SplitMix64, step: (UInt32) -> UInt32, backend: (UInt32) -> UInt16
  ) -> Double {
    let count = 20000
    let kept = (0..<count).reduce(0) { kept, _ in
      // Without an overflow by any step: see ``Attacker``.
      let word = 1 << 30 + UInt32(truncatingIfNeeded: random.next()) >> 2
      return kept + (backend(word) == backend(step(word)) ? 1 : 0)
    }
    return Double(kept) / Double(count)
  }

  /// The hash of a flow to port 443 of a VIP, by the client's address, of which one word varies.
  private static func hash(_ family: AddressFamily, _ keys: [UInt64], _ word: UInt32) -> UInt32 {
    family == .v4
      ? flow_hash4(keys, word, 0x0a64_6401, 0xbb01_9c40, 6)
      : flow_hash6(keys, [0xb80d_0120, 0, 0, word], [0xb80d_0120, 0, 0, 1], 0xbb01_9c40, 6)
  }

  @Test(
    "from 131,072 observed flows no address step keeps the backend more often than chance",
    arguments: AddressFamily.allCases, [1, 2, UInt64.random(in: 0...UInt64.max)])
  func attack(_ family: AddressFamily, _ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let keys = Scenario.keys(random.next())
    let backend = { (word: UInt32) in Self.backend(Self.hash(family, keys, word)) }
    let sum = Attacker(random: &random, backend: backend)
    let sums = Self.share(&random, step: { $0 &+ sum.step }, backend: backend)
    let flip = Attacker(random: &random, combine: ^, difference: ^, backend: backend)
    let flips = Self.share(&random, step: { $0 ^ flip.step }, backend: backend)
    print(
      "\(family), seed \(seed): the best step keeps \(100 * sums) %, the best flip of bits \(100 * flips) %")
    #expect(sums < Self.bound && flips < Self.bound, "seed \(seed)")
  }

  @Test("the same attacker breaks the plain multilinear hash", arguments: [1, 2, 3] as [UInt64])
  func plain(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let keys = Scenario.keys(random.next())
    let backend = { (word: UInt32) in
      Self.backend(UInt32((keys[0] &+ keys[1] &* UInt64(word)) >> 32))
    }
    let attacker = Attacker(random: &random, backend: backend)
    let share = Self.share(&random, step: { $0 &+ attacker.step }, backend: backend)
    print("plain multilinear hash, seed \(seed): the best step keeps \(100 * share) %")
    #expect(share > 0.9, "seed \(seed)")
  }
}
