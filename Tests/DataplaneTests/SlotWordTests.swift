// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import Testing

@Suite("A slot's word")
struct SlotWordTests {
  @Test(
    "Laid out as the packet path reads it",
    arguments: [
      Slot(current: 1), Slot(current: 0x3ffff), Slot(current: 0, previous: 0x3ffff),
      Slot(current: 0x2aaaa, previous: 0x15555, state: .changed, since: Tick(0x2aaaaaa)),
      Slot(current: 5, previous: 6, state: .settling, since: Tick(Tick.modulus - 1)),
    ])
  func layout(slot: Slot) {
    #expect(slot_current(slot.word) == slot.current)
    #expect(slot_previous(slot.word) == slot.previous)
    #expect(slot_state(slot.word).rawValue == slot.state.rawValue)
    #expect(slot_since(slot.word) == slot.since.value)
    var changed = slot
    changed.previous = 9
    changed.state = .settling
    #expect(
      changed == Slot(current: slot.current, previous: 9, state: .settling, since: slot.since))
  }
}
