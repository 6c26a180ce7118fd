// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// What slots may become, restated from what packets see of them and apart from the code that plans it.
extension KernelModel {
  /// Ticks between a plan's time and its last step; a plan must allow for that much.
  static let lag: UInt32 = 4
  /// How much earlier than packets a plan may take a slot for settled.
  private static let early: UInt32 = 5

  /// Whether packets take a slot for settled.
  private func isSettled(_ slot: Slot, of table: Table, at time: Tick) -> Bool {
    switch slot.state {
    case .stable: false
    case .settling: true
    case .changed:
      time.since(slot.since) > UInt32(table.settle) && backends[slot.previous]?.isDraining != true
    }
  }

  /// Lets packets look at every slot that a service asks. What they once took for settled must never remember its previous again: since
  /// then, new flows are in no table.
  mutating func observe(at time: Tick) throws(Mistake) {
    let asked = Set(services.values.map(\.pool))
    let remembered = Set(services.values.compactMap(\.move?.pool))
    for (number, table) in tables {
      guard asked.contains(number) || remembered.contains(table.name) else {
        settledSince[number] = nil
        continue
      }
      var seen = settledSince[number] ?? [:]
      for index in table.region.indices {
        let slot = slots[index]
        let place = index - table.region.lowerBound
        if isSettled(slot, of: table, at: time) {
          seen[place] = slot.since
        } else if slot.state == .changed, seen[place] == slot.since {
          throw Mistake(
            description: "slot \(place) of \(table.name) had settled and remembers again: \(slot)")
        }
      }
      settledSince[number] = seen
    }
  }

  /// Complains unless a table may follow another one of the same slots.
  func checkSuccession(of table: Table, by pool: InstalledState.Pool, at time: Tick) throws(Mistake) {
    for (before, after) in zip(slots[table.region], pool.slots) {
      let hasSettled = isSettled(before, of: table, at: time)
      let maySeemSettled =
        before.state == .changed && time.since(before.since) + Self.early > UInt32(table.settle)
        && backends[before.previous]?.isDraining != true
      let keeps =
        after.since == before.since && (after.previous == before.previous || forgets(before.previous, after))
      let begins =
        after.state == .changed && time.since(after.since) <= Self.lag && after.current != before.current
        && (after.previous == before.current || forgets(before.current, after))
      let isAllowed =
        switch before.state {
        case .stable: after == before || begins
        case .settling: keeps && after.state == .settling && after.current == before.current || begins
        case .changed where hasSettled:
          keeps && after.state != .stable && after.current == before.current || begins
        case .changed where maySeemSettled: keeps && after.state != .stable || begins
        case .changed: keeps && after.state == .changed
        }
      try require(isAllowed, "\(before) became \(after) at \(time.value)")
    }
  }

  /// Whether a slot does without its previous because that is to be released.
  private func forgets(_ previous: BackendNumber, _ slot: Slot) -> Bool {
    slot.previous == 0 && releasing.contains(previous)
  }

  /// The daemon's sweep.
  mutating func rewrite(
    _ pool: String, _ index: Int, _ after: Slot, foreign: Set<Int>, at time: Tick
  ) throws(Mistake) {
    guard let table = tables.values.first(where: { $0.name == pool }) else {
      throw Mistake(description: "\(pool) is swept, but is not there")
    }
    let before = slots[table.region.lowerBound + index]
    let becomesStable = before.state == .settling && after == Slot(current: before.current)
    let settles =
      before.state == .changed && isSettled(before, of: table, at: time)
      && after
        == Slot(
          current: before.current, previous: before.previous, state: .settling, since: before.since)
    try require(becomesStable || settles, "the sweep made \(after) of \(before)")
    try require(
      !becomesStable || !foreign.contains(index), "\(before) is stable while a flow names another")
    slots[table.region.lowerBound + index] = after
  }
}
