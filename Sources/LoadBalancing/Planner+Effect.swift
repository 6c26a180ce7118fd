// SPDX-License-Identifier: Apache-2.0

extension Planner {
  /// Adds the effect of a pool's new table.
  mutating func describeTable(of pool: Pool, _ old: InstalledState.Pool?, _ slots: [Slot]) {
    var moved = slots.count
    var before = Owners()
    var after = Owners()
    for slot in slots { after.insert(slot.current) }
    for slot in old?.slots ?? [] { before.insert(slot.current) }
    if let old, pool.selectsSlots(as: old) {
      var losing = Owners()
      moved = 0
      for (old, new) in zip(old.slots, slots) where old.current != new.current {
        moved += 1
        losing.insert(old.current)
      }
      losingSlots.formUnion(losing.numbers)
    } else if old != nil {
      rehashed.insert(pool.name)
      effect.warnings.append(
        "pool \(pool.name): a changed table_size or hash moves flows without memory; connections break")
    }
    effect.pools.append(
      Effect.PoolShare(
        pool: pool.name, slotsMoved: moved, slotsTotal: slots.count,
        backendsEmptied: names(of: before.numbers.subtracting(after.numbers)),
        backendsFilled: names(of: after.numbers.subtracting(before.numbers))))
  }

  private func names(of numbers: Set<BackendNumber>) -> [String] {
    numbers.compactMap { next.backends[$0] ?? installed.backends[$0] }.map(\.name).sorted()
  }

  /// Adds what the plan as a whole affects: services whose table or backends change, and live flows.
  mutating func describeConcerned() {
    let lost = lostBackends()
    let pools = Set(effect.pools.map(\.pool) + lost.compactMap { installed.backends[$0]?.pool })
    effect.servicesTouched = installed.services.values.filter { old in
      next.services[old.service.key]?.service == old.service
        && (pools.contains(old.service.pool) || old.move.map { pools.contains($0.pool) } == true)
    }.map { "\($0.service.name) \($0.service.key)" }.sorted()

    effect.backendsCutOff = cutOff(lost)
    effect.flowsLost = liveFlows(of: lost)
    effect.flowsConcerned = liveFlows(of: lost.union(losingSlots))
  }

  /// Backends that lose all of their flows.
  private func lostBackends() -> Set<BackendNumber> {
    var lost = Set(
      usableOff.compactMap { step in if case .setUsable(let number, false) = step { number } else { nil } })
    if !rehashed.isEmpty {
      lost.formUnion(installed.backends.values.filter { rehashed.contains($0.pool) }.map(\.number))
    }
    return lost
  }

  /// Those of the lost backends that own stable slots. With affinity `all` there are none, because every flow is
  /// recorded.
  private func cutOff(_ lost: Set<BackendNumber>) -> [Effect.CutOff] {
    let byPool = Dictionary(grouping: lost.compactMap { installed.backends[$0] }, by: \.pool)
    return byPool.sorted { $0.key < $1.key }.flatMap { name, backends -> [Effect.CutOff] in
      let isCounted = !installed.services.values.contains {
        $0.service.pool == name && $0.service.affinity.mode != .all
      }
      guard !isCounted, let slots = installed.pools[name]?.slots else { return [] }
      var counts: [BackendNumber: Int] = [:]
      for slot in slots where slot.state == .stable { counts[slot.current, default: 0] += 1 }
      return backends.sorted { $0.name < $1.name }.compactMap { backend in
        counts[backend.number].map {
          Effect.CutOff(
            pool: name, backend: backend.name, number: backend.number, uncountedSlots: $0,
            slotsTotal: slots.count)
        }
      }
    }
  }

  /// Live flows of installed backends; nil without a census.
  func liveFlows(of backends: Set<BackendNumber>) -> Int? {
    census.map { census in backends.reduce(0) { $0 + census.live[$1, default: 0] } }
  }
}

/// A set of backend numbers, fast to fill from thousands of slots with few owners.
private struct Owners {
  private var isOwner: [Bool] = []

  mutating func insert(_ number: BackendNumber) {
    let index = Int(number)
    if index >= isOwner.count {
      isOwner.append(contentsOf: repeatElement(false, count: index + 1 - isOwner.count))
    }
    isOwner[index] = true
  }

  /// Without "no backend".
  var numbers: Set<BackendNumber> {
    Set(isOwner.indices.lazy.filter { isOwner[$0] && $0 != 0 }.map(BackendNumber.init))
  }
}
