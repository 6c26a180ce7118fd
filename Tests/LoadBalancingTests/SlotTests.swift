// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Slots with memory")
struct SlotTests {
  private static let early = Tick(100)
  private static let now = Tick(500)

  @Test(
    "What a published table makes of a slot",
    arguments: [
      // A stable slot: no change, a change, from and to no backend.
      (Slot(current: 1), 1, Slot(current: 1)),
      (Slot(current: 1), 2, Slot(current: 2, previous: 1, state: .changed, since: now)),
      (Slot(current: 1), 0, Slot(current: 0, previous: 1, state: .changed, since: now)),
      (Slot(current: 0), 1, Slot(current: 1, previous: 0, state: .changed, since: now)),
      (Slot(current: 0), 0, Slot(current: 0)),
      // A changed slot keeps its last stable owner and the time of its first change: again, back, unchanged, to none.
      (changed, 3, Slot(current: 3, previous: 1, state: .changed, since: early)),
      (changed, 1, Slot(current: 1, previous: 1, state: .changed, since: early)),
      (changed, 2, changed),
      (changed, 0, Slot(current: 0, previous: 1, state: .changed, since: early)),
      // A settling slot is as a stable one: what it was before is past.
      (settling, 2, settling),
      (settling, 3, Slot(current: 3, previous: 2, state: .changed, since: now)),
      (settling, 1, Slot(current: 1, previous: 2, state: .changed, since: now)),
    ] as [(Slot, BackendNumber, Slot)])
  func given(slot: Slot, owner: BackendNumber, expected: Slot) {
    #expect(slot.given(to: owner, at: Self.now, Settling(after: 1000)) == expected)
  }

  private static let changed = Slot(current: 2, previous: 1, state: .changed, since: early)
  private static let settling = Slot(current: 2, previous: 1, state: .settling, since: early)

  @Test("Random histories keep the last stable owner and the first change's time")
  func histories() {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<1000 {
      let owner = BackendNumber.random(in: 1...4, using: &random)
      var slot = Slot(current: owner)
      var firstChange: Tick?
      for time in 1..<10 as Range<UInt32> {
        let next = BackendNumber.random(in: 0...4, using: &random)
        slot = slot.given(to: next, at: Tick(time), Settling(after: 1000))
        if firstChange == nil, next != owner { firstChange = Tick(time) }
        #expect(slot.current == next, "seed \(seed)")
        if let firstChange {
          #expect(
            slot == Slot(current: next, previous: owner, state: .changed, since: firstChange), "seed \(seed)")
        }
      }
    }
  }

  @Test("A slot settles by its age, and not while its previous drains")
  func comesToRest() {
    let slots = [Self.changed, Self.settling, Slot(current: 4)]
    let rule = Settling(after: 400)
    let at = { (age: UInt32) in Tick(Self.early.value + age) }
    func rewritten(_ age: UInt32, _ rule: Settling, foreign: Set<Int> = []) -> [Int: Slot] {
      Dictionary(
        uniqueKeysWithValues: rule.rewrites(of: slots, at: at(age), foreign: foreign).map {
          ($0.index, $0.slot)
        })
    }
    #expect(rewritten(400, rule) == [1: Slot(current: 2)])
    #expect(rewritten(401, rule)[0] == Slot(current: 2, previous: 1, state: .settling, since: Self.early))
    #expect(rewritten(401, Settling(after: 400, draining: [1]))[0] == nil)
    #expect(rewritten(400, rule, foreign: [1]).isEmpty)
  }

  @Test("A slot that packets may see as settled takes its current for its last stable owner")
  func settledBeforeChange() {
    let rule = Settling(after: 400)
    let fresh = Slot(current: 3, previous: 2, state: .changed, since: Self.now)
    for (age, expected) in [
      (390 as UInt32, Slot(current: 3, previous: 1, state: .changed, since: Self.early))
    ] {
      #expect(Self.changed.given(to: 3, at: Tick(Self.early.value + age), rule) == expected)
    }
    #expect(Self.changed.given(to: 3, at: Self.now, rule) == fresh)
    #expect(
      Self.changed.given(to: 2, at: Self.now, rule) == Self.changed, "its owner stays: so does its memory"
    )
    #expect(
      Self.changed.given(to: 3, at: Self.now, Settling(after: 400, draining: [1]))
        == Slot(current: 3, previous: 1, state: .changed, since: Self.early))
  }

  @Test("Time goes round")
  func ticks() {
    #expect(Tick(Tick.modulus) == Tick(0))
    #expect(Tick(5).since(Tick(3)) == 2)
    #expect(Tick(2).since(Tick(Tick.modulus - 3)) == 5)
    #expect(Tick(7).since(Tick(7)) == 0)
  }
}
