// SPDX-License-Identifier: Apache-2.0

/// Compaction: which runs of slots or counters to move so that the free ones become contiguous.
struct Gathering<ID> {
  struct Move {
    var id: ID
    var from: Range<Int>
    var to: Range<Int>
  }

  private(set) var moves: [Move] = []
  private var row: Occupancy
  private var items: [(id: ID, run: Range<Int>)]

  /// Finds moves after which `count` places in one piece are free. Each move goes to places that are free before it,
  /// and what it leaves is free for the moves after it.
  ///
  /// The largest gap travels through the row: what is beside it goes to its other end, and the gap takes in the gaps
  /// that it meets. It passes everything that is not larger than itself, so all free places come together if the largest
  /// item fits into it. Where it does not get far enough, what is beside a gap goes to another gap.
  /// - Parameter items: what can be moved.
  /// - Returns: nil if there are no such moves.
  init?(_ items: [(id: ID, run: Range<Int>)], in row: Occupancy, until count: Int) {
    self.row = row
    self.items = items.filter { !$0.run.isEmpty }.sorted { $0.run.lowerBound < $1.run.lowerBound }
    guard row.gaps.reduce(0, { $0 + $1.count }) >= count else { return nil }
    let start = self
    var gap = row.largestGap
    while gap.count < count, let next = passLower(gap) { gap = next }
    while gap.count < count, let next = passUpper(gap) { gap = next }
    if gap.count >= count { return }
    for first in start.row.gaps.sorted(by: { $0.count > $1.count }).prefix(Self.attempts) {
      (self, gap) = (start, first)
      while gap.count < count, let next = widen(gap) { gap = next }
      if gap.count >= count { return }
    }
    return nil
  }

  /// How many gaps are tried.
  private static var attempts: Int { 16 }

  /// Moves an item beside the gap to the smallest other gap that it fits into.
  private mutating func widen(_ gap: Range<Int>) -> Range<Int>? {
    for (index, item) in items.enumerated()
    where item.run.upperBound == gap.lowerBound || item.run.lowerBound == gap.upperBound {
      let count = item.run.count
      let others = row.gaps.filter { $0 != gap && $0.count >= count }
      guard let other = others.min(by: { $0.count < $1.count }) else { continue }
      return move(index, to: other.lowerBound..<(other.lowerBound + count), in: other)
    }
    return nil
  }

  /// Moves the item before the gap to the gap's end.
  private mutating func passLower(_ gap: Range<Int>) -> Range<Int>? {
    guard let index = items.firstIndex(where: { $0.run.upperBound == gap.lowerBound }) else { return nil }
    let count = items[index].run.count
    return move(index, to: (gap.upperBound - count)..<gap.upperBound, in: gap)
  }

  /// Moves the item after the gap to the gap's beginning.
  private mutating func passUpper(_ gap: Range<Int>) -> Range<Int>? {
    guard let index = items.firstIndex(where: { $0.run.lowerBound == gap.upperBound }) else { return nil }
    let count = items[index].run.count
    return move(index, to: gap.lowerBound..<(gap.lowerBound + count), in: gap)
  }

  /// - Returns: the gap after the move; nil if the item does not fit.
  private mutating func move(_ index: Int, to target: Range<Int>, in gap: Range<Int>) -> Range<Int>? {
    let from = items[index].run
    guard from.count <= gap.count else { return nil }
    row.take(target)
    row.free(from)
    moves.append(Move(id: items[index].id, from: from, to: target))
    items[index].run = target
    return row.gaps.first { $0.contains(from.lowerBound) }
  }
}
