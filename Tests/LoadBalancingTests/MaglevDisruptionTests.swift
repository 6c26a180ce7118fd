// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// How little a change moves between members that did not change.
@Suite("Maglev disruption")
struct MaglevDisruptionTests {
  private static let size = 65_537

  /// Slots in percent that moved, those aside whose old or new owner is among `changed`.
  private func extra(
    _ old: [MaglevTable.Member], _ new: [MaglevTable.Member], changed: [MaglevTable.Member]
  ) -> Double {
    let keys = Set(changed.map(\.address.description))
    let moved = zip(maglevKeys(old), maglevKeys(new)).count {
      $0 != $1 && !keys.contains($0) && !keys.contains($1)
    }
    return 100 * Double(moved) / Double(Self.size)
  }

  @Test("One of 100 goes: at most 0.6 % of the slots besides its own")
  func removeOne() {
    let members = maglevMembers(1...100)
    for gone in [0, 13, 50, 99] {
      var fewer = members
      let removed = fewer.remove(at: gone)
      #expect(extra(members, fewer, changed: [removed]) <= 0.6, "member \(gone)")
    }
  }

  @Test("One of 100 weighted ones goes: at most 0.6 %")
  func removeOneWeighted() {
    let members = maglevMembers(1...100) { 1 + $0 * 37 % 100 }
    for gone in [0, 26, 77] {
      var fewer = members
      let removed = fewer.remove(at: gone)
      #expect(extra(members, fewer, changed: [removed]) <= 0.6, "member \(gone)")
    }
  }

  @Test("One joins 100: at most 0.6 %")
  func addOne() {
    let members = maglevMembers(1...100)
    for number in [101, 1234, 9999] {
      let added = maglevMembers([number])
      #expect(extra(members, members + added, changed: added) <= 0.6, "member \(number)")
    }
  }

  @Test("Ten of 1,000 go at once: at most 2.5 %")
  func removeTen() {
    let members = maglevMembers(1...1000)
    let removed = stride(from: 5, to: 1000, by: 100).map { members[$0] }
    let fewer = members.filter { !removed.contains($0) }
    #expect(extra(members, fewer, changed: removed) <= 2.5)
  }

  @Test("Half the weight moves half the share, and little else")
  func weight() {
    let members = maglevMembers(1...100)
    var lighter = members
    lighter[42].weight = 50
    let (old, new) = (maglevKeys(members), maglevKeys(lighter))
    let key = members[42].address.description
    let share = Double(Self.size) / 100
    let lost = zip(old, new).count { $0 == key && $1 != key }
    #expect((0.48 * share...0.52 * share).contains(Double(lost)))
    #expect(zip(old, new).allSatisfy { $0 == key || $1 != key }, "a lighter member gains no slot")
    #expect(extra(members, lighter, changed: [members[42]]) <= 0.6)
  }
}
