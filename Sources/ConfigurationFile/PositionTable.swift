// SPDX-License-Identifier: Apache-2.0

/// A hash table of positions, by the values that are there. A dictionary with the values themselves would take more than
/// ten times the memory of short ones.
struct PositionTable {
  typealias Position = Int32
  private static let free: Position = -1

  /// A power of two, at least a quarter of them free.
  private var slots: [Position] = []
  private var count = 0

  /// The position in the table whose value is that of `position`; `nil`: there was none, and now it is `position`.
  /// - Parameters:
  ///   - hash: of the value at a position.
  ///   - areEqual: whether two positions have the same value.
  mutating func earlier(
    than position: Position, hash: (Position) -> Int, areEqual: (Position, Position) -> Bool
  ) -> Position? {
    if count * 4 >= slots.count * 3 { grow(hash) }
    let slot = slot(hash(position)) { areEqual($0, position) }
    guard slots[slot] == Self.free else { return slots[slot] }
    slots[slot] = position
    count += 1
    return nil
  }

  private mutating func grow(_ hash: (Position) -> Int) {
    let positions = slots
    slots = [Position](repeating: Self.free, count: max(8, slots.count * 2))
    for position in positions where position != Self.free {
      slots[slot(hash(position)) { _ in false }] = position
    }
  }

  /// The slot with an equal value, or the free one where it would be.
  private func slot(_ hash: Int, isEqual: (Position) -> Bool) -> Int {
    var slot = hash & (slots.count - 1)
    while slots[slot] != Self.free, !isEqual(slots[slot]) { slot = (slot + 1) & (slots.count - 1) }
    return slot
  }
}

/// The values that an earlier one equals, with the first such, in order.
func repetitions<Value: Hashable>(
  in values: some RandomAccessCollection<Located<Value>>
) -> [(later: Located<Value>, first: Located<Value>)] {
  var table = PositionTable()
  func value(_ position: PositionTable.Position) -> Located<Value> {
    values[values.index(values.startIndex, offsetBy: Int(position))]
  }
  return (0..<values.count).compactMap { offset in
    let position = PositionTable.Position(offset)
    let first = table.earlier(
      than: position, hash: { value($0).value.hashValue },
      areEqual: { value($0).value == value($1).value })
    return first.map { (value(position), value($0)) }
  }
}
