// SPDX-License-Identifier: Apache-2.0

/// Where tables are written. A table is in one piece, and a changed one is written beside the one in force. So plans keep
/// as many slots as the largest table has free in one piece (the reserve), wherever `limits.slots` allows for that: then
/// every table can be changed, and all tables can be moved together.
extension Planner {
  /// Writes a table into free slots and puts it in force.
  mutating func publish(_ table: InstalledState.Pool) throws(PlanError) {
    var table = table
    let count = table.slots.count
    let old = next.pools[table.name]?.region
    if let region = takeSlots(count, leaving: old) ?? takeSlotsAfterReaders(count, leaving: old) {
      table.firstSlot = region.lowerBound
      return put(table)
    }
    if let old, old.count == count, slots.largestGap.count >= reserve {
      // Written into the reserve and, once no packet reads the former table, in its place: the reserve stays whole.
      table.firstSlot = try slots.take(count, of: "slots").lowerBound
      put(table)
      freeReplaced()
      slots.take(old)
      table.firstSlot = old.lowerBound
      return put(table)
    }
    gather(count + reserve)
    var region = slots.take(count, keeping: reserve, leaving: nil)
    if region == nil, slots.largestGap.count < count { gather(count) }
    if region == nil { region = try takeWithoutReserve(count) }
    table.firstSlot = region?.lowerBound ?? 0
    put(table)
  }

  /// Slots of the largest table that a service may use.
  static func reserve(_ desired: DesiredState, _ installed: InstalledState, asked: Set<String>) -> Int {
    let remaining = installed.pools.values.filter { asked.contains($0.name) }.map(\.slots.count)
    return max(desired.pools.map(\.tableSize).max() ?? 0, remaining.max() ?? 0)
  }

  private mutating func takeSlots(_ count: Int, leaving old: Range<Int>?) -> Range<Int>? {
    slots.take(count, keeping: reserve, leaving: old)
  }

  /// The same, after the readers of the tables that the plan has replaced so far.
  private mutating func takeSlotsAfterReaders(_ count: Int, leaving old: Range<Int>?) -> Range<Int>? {
    guard !replaced.isEmpty else { return nil }
    freeReplaced()
    return takeSlots(count, leaving: old)
  }

  private mutating func takeWithoutReserve(_ count: Int) throws(PlanError) -> Range<Int> {
    do throws(PlanError) {
      return try slots.take(count, of: "slots")
    } catch {
      guard case .limitExceeded(let what, let limit, let needed, _) = error else { throw error }
      let passing = next.pools.values.filter { members[$0.name] == nil }.reduce(0) { $0 + $1.slots.count }
      throw .limitExceeded(what: what, limit: limit, needed: needed, passing: passing)
    }
  }

  private mutating func put(_ table: InstalledState.Pool) {
    if let old = next.pools[table.name] { replaced.append(old.region) }
    next.pools[table.name] = table
    tables.append(.publishTable(table))
  }

  /// Waits for the readers of the tables that the plan has replaced so far. Their slots are free then.
  private mutating func freeReplaced() {
    for region in replaced { slots.free(region) }
    replaced = []
    tables.append(.waitForReaders)
  }

  /// Moves tables so that free slots come together, where that helps.
  private mutating func gather(_ count: Int) {
    let items = next.pools.values.map { (id: $0.name, run: $0.region) }
    guard count < ungathered else { return }
    guard let gathering = Gathering(items, in: slots, until: count) else {
      ungathered = count
      return
    }
    for move in gathering.moves {
      guard var table = next.pools[move.id] else { continue }
      slots.take(move.to)
      table.firstSlot = move.to.lowerBound
      put(table)
      freeReplaced()
    }
  }
}
