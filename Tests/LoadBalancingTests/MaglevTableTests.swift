// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// Backends `1...count`, with one weight.
func maglevMembers(_ numbers: some Sequence<Int>, weight: (Int) -> Int = { _ in 100 }) -> [MaglevTable.Member]
{
  numbers.map { MaglevTable.Member(address: .v4(10, 0, UInt8($0 >> 8), UInt8($0 & 255)), weight: weight($0)) }
}

/// For each slot its owner's address, which says more than an index once the members change.
func maglevKeys(_ members: [MaglevTable.Member], size: Int = 65_537) -> [String] {
  MaglevTable.build(members, size: size).owners.map { $0 < 0 ? "" : members[Int($0)].address.description }
}

@Suite("Maglev table")
struct MaglevTableTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var count: Int
    var size: Int
    var isWeighted: Bool
    var testDescription: String { "\(count) members, \(size) slots\(isWeighted ? ", weights 1…100" : "")" }
  }

  static let cases = [1, 2, 3, 10, 100, 250, 251, 1000].flatMap { count in
    [251, 65_537].flatMap { size in
      [false, true].map { Case(count: count, size: size, isWeighted: $0) }
    }
  }

  @Test("Every slot has an owner and every member its quota, exact to one slot", arguments: cases)
  func quotas(of test: Case) {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    let members = maglevMembers(1...test.count) { _ in
      test.isWeighted ? Int.random(in: 1...100, using: &random) : 100
    }
    var counts = [Int](repeating: 0, count: members.count)
    for owner in MaglevTable.build(members, size: test.size).owners { counts[Int(owner)] += 1 }
    let total = members.reduce(0) { $0 + $1.weight }
    for (count, member) in zip(counts, members) {
      let exact = test.size * member.weight / total
      #expect((exact...exact + 1).contains(count), "seed \(seed), weight \(member.weight)")
    }
    #expect(counts.reduce(0, +) == test.size)
  }

  @Test("The order of the members does not matter", arguments: [251, 65_537])
  func order(size: Int) {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    let members = maglevMembers(1...200) { 1 + $0 * 37 % 100 }
    let expected = maglevKeys(members, size: size)
    for _ in 0..<3 {
      #expect(maglevKeys(members.shuffled(using: &random), size: size) == expected, "seed \(seed)")
    }
  }

  @Test("Nobody owns anything where there is no member, or none with weight")
  func nobody() {
    #expect(MaglevTable.build([], size: 251).owners == [Int32](repeating: -1, count: 251))
    let weightless = maglevMembers(1...3) { _ in 0 }
    #expect(MaglevTable.build(weightless, size: 251).owners == [Int32](repeating: -1, count: 251))
  }

  @Test("A member without weight owns nothing, and the others have what they have without it")
  func weightless() {
    let members = maglevMembers(1...10) { $0 == 4 ? 0 : 100 }
    #expect(maglevKeys(members) == maglevKeys(members.filter { $0.weight > 0 }))
  }

  @Test("One member owns all")
  func one() {
    #expect(MaglevTable.build(maglevMembers([7]), size: 251).owners == [Int32](repeating: 0, count: 251))
  }

  @Test("With more members than slots some own none, and each slot has an owner")
  func moreMembersThanSlots() {
    let owners = MaglevTable.build(maglevMembers(1...300), size: 251).owners
    #expect(Set(owners).count == 251)
    #expect(owners.allSatisfy { (0..<300).contains($0) })
  }

  @Test("The smallest tables", arguments: [1, 2, 3, 5])
  func smallest(size: Int) {
    #expect(MaglevTable.build(maglevMembers(1...10), size: size).owners.allSatisfy { $0 >= 0 })
  }
}

/// A fleet compares digests of its tables: another version of Sluice must fill them alike.
/// Where one of these changes, every connection of a mixed fleet is at stake: that is a change for the release notes.
@Suite("Maglev table between versions")
struct MaglevGoldenTests {
  @Test(
    "Digests",
    arguments: [
      (count: 100, size: 65_537, isWeighted: false, digest: 0xbfcc_3c76_d5da_49a6 as UInt64),
      (count: 100, size: 65_537, isWeighted: true, digest: 0x414a_a5ae_0ba0_f4d2),
      (count: 7, size: 251, isWeighted: true, digest: 0x9e6b_49df_e456_81d9),
      (count: 1000, size: 16_381, isWeighted: false, digest: 0x26b0_4ba5_3e3f_8eaf),
    ])
  func digest(count: Int, size: Int, isWeighted: Bool, digest: UInt64) {
    let members = maglevMembers(1...count) { isWeighted ? 1 + $0 * 37 % 100 : 100 }
    let text = maglevKeys(members, size: size).joined(separator: " ")
    let found = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    #expect(found == digest, "0x\(String(found, radix: 16))")
  }
}
