// SPDX-License-Identifier: Apache-2.0

/// What the slots of a forwarding table add up to.
public struct TableSummary: Equatable, Sendable {
  /// Slots by their current backend. 0 is the number of slots without one.
  public let counts: [BackendNumber: Int]
  /// Slots that are not stable.
  public let unsettled: Int

  public init(of slots: [Slot]) {
    // Loops without branches, because tables are large: 0 - 1 is the largest number.
    var (lowest, highest, unsettled) = (BackendNumber.max, BackendNumber.min, 0)
    for slot in slots {
      lowest = min(lowest, slot.current &- 1)
      highest = max(highest, slot.current)
      unsettled += slot.state == .stable ? 0 : 1
    }
    self.unsettled = unsettled
    // By number, from the lowest one on. An array is faster than a dictionary.
    var found = [Int](repeating: 0, count: lowest < highest ? Int(highest - lowest) : 0)
    var owned = 0
    for slot in slots where slot.current != 0 {
      found[Int(slot.current - lowest) - 1] += 1
      owned += 1
    }
    var counts: [BackendNumber: Int] = owned < slots.count ? [0: slots.count - owned] : [:]
    for (offset, count) in found.enumerated() where count > 0 {
      counts[lowest + 1 + BackendNumber(offset)] = count
    }
    self.counts = counts
  }
}
