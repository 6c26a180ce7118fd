// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Hot slots: copies of stable slots in 32 bits, for the fast path. A hot slot is derived from its 64-bit slot, which
/// is authoritative, and from the pair of the slot's backend. Two hot slots share a word.
struct HotSlots: Sendable {
  let words: MappedArray<UInt64>

  init(_ words: MappedArray<UInt64>) { self.words = words }

  subscript(index: Int) -> UInt32 {
    UInt32(hot_slot_in(words.loadWord(element: index / 2), UInt64(index)))
  }

  /// Stores a hot slot. Its neighbour may belong to another table and stays.
  func store(_ hot: UInt32, at index: Int) {
    let shift = UInt64(index % 2 * 32)
    let rest = words.loadWord(element: index / 2) & ~(0xffff_ffff << shift)
    words.storeWord(rest | UInt64(hot) << shift, element: index / 2)
  }

  /// Writes a run of hot slots that no table names.
  func write(_ hot: [UInt32], from first: Int) {
    var index = 0
    if first % 2 == 1, !hot.isEmpty {
      store(hot[0], at: first)
      index = 1
    }
    while index + 1 < hot.count {
      words.storeWord(UInt64(hot[index]) | UInt64(hot[index + 1]) << 32, element: (first + index) / 2)
      index += 2
    }
    if index < hot.count { store(hot[index], at: first + index) }
  }
}

extension ForwarderMaps {
  /// The hot slot of a slot, by its backend's record.
  func hotSlot(of slot: Slot) -> UInt32 {
    guard slot.state == .stable, slot.current != UInt32(BACKEND_NONE), Int(slot.current) < backends.count
    else {
      return UInt32(HOT_SLOT_NONE)
    }
    let word = backends.loadWord(element: Int(slot.current), byteOffset: Self.pairOffset)
    return hot_slot(slot.word, UInt32(word & 0xffff))
  }

  /// Where the word begins whose low half is a backend's pair.
  private static var pairOffset: Int { MemoryLayout<backend>.offset(of: \.pair)! }

  /// Stores a slot of a table in force, and its hot slot, so that packets never find a hot slot of another backend.
  func storeSlot(_ slot: Slot, at index: Int) {
    let hot = hotSlot(of: slot)
    if hotSlots[index] != hot { hotSlots.store(UInt32(HOT_SLOT_NONE), at: index) }
    slotWords.storeWord(slot.word, element: index)
    if hot != UInt32(HOT_SLOT_NONE) { hotSlots.store(hot, at: index) }
  }
}
