// SPDX-License-Identifier: Apache-2.0

extension Planner {
  mutating func planTables(of pools: [Pool]) throws(PlanError) {
    for (pool, slots) in zip(pools, concurrentMap(pools, slots)) { try planTable(of: pool, slots) }
  }

  private mutating func planTable(of pool: Pool, _ slots: [Slot]) throws(PlanError) {
    let old = installed.pools[pool.name]
    if old != nil, isHeld(pool) {
      // `settle` follows with the table: where it grows, slots that have settled must be marked as such.
      try forget(expired.union(unusable(in: pool.name)), in: pool.name)
      effect.awaited.append("pool \(pool.name) keeps its backends \(untilFirstVerdicts(of: pool))")
      return
    }
    if let old, old.slots == slots, old.hash == pool.hash {
      // The table may have been moved.
      setSettle(of: next.pools[pool.name] ?? old, to: pool.settle)
      return
    }
    let number = if let old { old.number } else { try poolNumbers.take(of: "pools") }
    let table = InstalledState.Pool(
      number: number, name: pool.name, hash: pool.hash, firstSlot: 0, slots: slots,
      settle: max(pool.settle, old?.settle ?? 0))
    try publish(table)
    if let table = next.pools[pool.name] { setSettle(of: table, to: pool.settle) }
    describeTable(of: pool, old, slots)
  }

  private mutating func setSettle(of pool: InstalledState.Pool, to settle: Int) {
    guard pool.settle != settle else { return }
    var changed = pool
    changed.settle = settle
    next.pools[pool.name] = changed
    // Slots must not settle for the moment until their previous drains, or until they are told to remember longer.
    if settle < pool.settle {
      shortened.append(.setSettle(changed))
    } else {
      tables.append(.setSettle(changed))
    }
  }

  /// Pools that are gone stay while a service that moved away from them asks their tables about its older flows, or
  /// waits for the first verdicts of another pool.
  mutating func planLeavingPools() throws(PlanError) {
    let services = next.services.values
    let remembered = Set(services.compactMap(\.move?.pool) + services.map(\.service.pool))
    for pool in installed.pools.values.sorted(by: { $0.number < $1.number })
    where members[pool.name] == nil && !remembered.contains(pool.name) {
      next.pools[pool.name] = nil
      releases.append(.releasePool(number: pool.number))
    }
    for name in remembered.sorted() where members[name] == nil {
      // New flows go by the tables of services; what a move remembers counts while it is usable.
      try forget(keepsServices(name) ? expired.union(unusable(in: name)) : expired, in: name)
    }
  }

  private func unusable(in pool: String) -> [BackendNumber] {
    next.backends.values.filter { $0.pool == pool && !$0.isUsable }.map(\.number)
  }

  /// A table that stays names its backends until they are gone.
  private mutating func forget(_ gone: Set<BackendNumber>, in name: String) throws(PlanError) {
    guard var pool = next.pools[name] else { return }
    let settling = settling(of: pool)
    let beginsDrain = beginsDrain.contains(name)
    let slots = pool.slots.map { slot in
      var slot = beginsDrain ? settling.noted(slot, at: now) : slot
      if gone.contains(slot.current) { slot = slot.given(to: 0, at: now, settling) }
      if expired.contains(slot.previous) { slot.previous = 0 }
      return slot
    }
    guard slots != pool.slots else { return }
    pool.slots = slots
    try publish(pool)
  }

  private func slots(of pool: Pool) -> [Slot] {
    let owners = owners(of: pool, where: \.takesNewFlows)
    guard let old = installed.pools[pool.name], pool.selectsSlots(as: old) else {
      return slotsWithoutHistory(of: pool, owners)
    }
    let slots = asked.contains(pool.name) ? remembering(old, owners, pool) : unmet(old, owners, pool)
    return withoutReleased(noted(slots, old, pool), in: pool)
  }

  private func remembering(_ old: InstalledState.Pool, _ owners: [BackendNumber], _ pool: Pool) -> [Slot] {
    let settling = settling(of: old)
    return zip(old.slots, owners).map { $0.given(to: $1, at: now, settling) }
  }

  /// Marks slots that have settled, where a longer `settle` or a draining backend would have them remember again. That
  /// holds for tables that no service asks, too: one may be given to them by this plan.
  private func noted(_ slots: [Slot], _ old: InstalledState.Pool, _ pool: Pool) -> [Slot] {
    guard pool.settle > old.settle || beginsDrain.contains(pool.name) else { return slots }
    let settling = settling(of: old)
    return slots.map { settling.noted($0, at: now) }
  }

  /// No packet has met the table: what it was has no flows to remember.
  private func unmet(_ old: InstalledState.Pool, _ owners: [BackendNumber], _ pool: Pool) -> [Slot] {
    if zip(old.slots, owners).allSatisfy({ $0.current == $1 }) { return old.slots }
    return zip(old.slots, slotsWithoutHistory(of: pool, owners)).map { old, new in
      old.current == new.current && old.current != 0 ? old : new
    }
  }

  /// A table that no flow has met.
  private func slotsWithoutHistory(of pool: Pool, _ owners: [BackendNumber]) -> [Slot] {
    guard pool.backends.contains(where: { $0.state == .drain }) else {
      return owners.map { Slot(current: $0) }
    }
    // It is not known how it was: a draining backend's share is what it would be if it were not draining.
    let before = self.owners(of: pool) { $0.isUsable && $0.weight > 0 }
    return zip(owners, before).map {
      $0 == $1 ? Slot(current: $0) : Slot(current: $0, previous: $1, state: .changed, since: now)
    }
  }

  private func settling(of pool: InstalledState.Pool) -> Settling {
    Settling(after: Tick.count(seconds: pool.settle, length: tickLength), draining: draining)
  }

  /// A number that is released may come back as another backend: no slot may name it then.
  private func withoutReleased(_ slots: [Slot], in pool: Pool) -> [Slot] {
    guard let released = members[pool.name]?.released, !released.isEmpty else { return slots }
    return slots.map { slot in
      guard released.contains(slot.previous) else { return slot }
      var slot = slot
      slot.previous = 0
      return slot
    }
  }

  private func owners(of pool: Pool, where takesPart: (Backend) -> Bool) -> [BackendNumber] {
    let backends = pool.backends.filter(takesPart)
    let numbers = backends.map { members[pool.name]?.numbers[$0.name] ?? 0 }
    let table = MaglevTable.build(
      backends.map { MaglevTable.Member(address: $0.address, weight: $0.weight) },
      size: pool.tableSize)
    return table.owners.map { $0 < 0 ? 0 : numbers[Int($0)] }
  }
}
