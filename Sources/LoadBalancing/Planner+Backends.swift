// SPDX-License-Identifier: Apache-2.0

extension Planner {
  /// A pool's backends after the plan.
  struct Members {
    /// By name, without those leaving.
    var numbers: [String: BackendNumber] = [:]
    /// Those that the plan releases.
    var released: Set<BackendNumber> = []
    /// Counters that a service of the pool must have.
    var pairsNeeded: Int

    init(pairsNeeded: Int) { self.pairsNeeded = pairsNeeded }
  }

  mutating func planBackends(of pools: [Pool]) throws(PlanError) {
    let runs = installed.pairRunsByPool
    for pool in pools {
      let installedMembers = installed.index.members[pool.name] ?? []
      members[pool.name] = Members(pairsNeeded: (installedMembers.map(\.pair).max() ?? -1) + 1)
      guard !unchanged.contains(pool.name) else { continue }
      try planBackends(of: pool, installed.backends(of: pool.name), runs[pool.name] ?? [])
    }
    // Backends of removed pools leave, so that their flows can end.
    for name in installed.index.members.keys.filter({ members[$0] == nil }).sorted() {
      let keepsServices = keepsServices(name)
      for backend in installed.backends(of: name)
      where !keepsServices || expired.contains(backend.number) {
        leave(backend)
      }
    }
  }

  private mutating func planBackends(
    of pool: Pool, _ old: [InstalledState.Backend], _ runs: [Range<Int>]
  ) throws(PlanError) {
    var members = members[pool.name] ?? Members(pairsNeeded: 0)
    var places = Occupancy(places: old.map(\.pair), limit: .max)
    let byName = Dictionary(grouping: old, by: \.name)
    for backend in pool.backends.sorted(by: { ($0.address, $0.name) < ($1.address, $1.name) }) {
      if let same = byName[backend.name]?.first(where: { isSame($0, backend, in: pool) }) {
        members.numbers[backend.name] = same.number
        keep(same, as: backend)
      } else {
        try add(backend, to: pool, &members, &places, runs)
      }
    }
    let kept = Set(members.numbers.values)
    let isHeld = isHeld(pool)
    for backend in old where !kept.contains(backend.number) {
      // The table still names them.
      if isHeld, !backend.isLeaving, !expired.contains(backend.number) { continue }
      leave(backend)
      if expired.contains(backend.number) { members.released.insert(backend.number) }
    }
    self.members[pool.name] = members
  }

  /// Whether `backend` is still the installed one, so that it keeps its flows.
  private func isSame(_ old: InstalledState.Backend, _ backend: Backend, in pool: Pool) -> Bool {
    old.name == backend.name && old.address == backend.address
      && old.encapsulation == pool.encapsulation.towards(old.address.family)
      && !expired.contains(old.number)
  }

  private mutating func keep(_ old: InstalledState.Backend, as backend: Backend) {
    let isUsable = backend.isUsable
    // What stays as it is is not written, so that the backends of both states share their storage.
    if old.isLeaving {
      effect.backendsAdded.append("\(old.pool)/\(old.name)")
      next.backends[old.number]?.isLeaving = false
    }
    if old.isUsable != isUsable {
      next.backends[old.number]?.isUsable = isUsable
      if isUsable {
        usableOn.append(.setUsable(old.number, true))
      } else {
        usableOff.append(.setUsable(old.number, false))
      }
    }
    setDraining(old, backend.state == .drain)
  }

  private mutating func setDraining(_ old: InstalledState.Backend, _ isDraining: Bool) {
    guard old.isDraining != isDraining else { return }
    next.backends[old.number]?.isDraining = isDraining
    if isDraining { beginsDrain.insert(old.pool) }
    // Stored after the tables: packets read this flag of a slot's previous backend, and the plan assumed its old value.
    usableOff.append(.setDraining(old.number, isDraining))
  }

  private mutating func add(
    _ backend: Backend, to pool: Pool, _ members: inout Members, _ places: inout Occupancy,
    _ runs: [Range<Int>]
  ) throws(PlanError) {
    let number = BackendNumber(try backendNumbers.take(of: "backends"))
    let pair = try places.take(of: "pairs")
    guard pair < Pool.maximumBackends else { throw .poolFull(pool: pool.name) }
    let added = InstalledState.Backend(
      number: number, pool: pool.name, name: backend.name, address: backend.address,
      encapsulation: pool.encapsulation.towards(backend.address.family), isUsable: backend.isUsable,
      pair: pair, isDraining: backend.state == .drain)
    members.numbers[backend.name] = number
    members.pairsNeeded = max(members.pairsNeeded, pair + 1)
    next.backends[number] = added
    newBackends.append(.writeBackend(added))
    let resets = runs.filter { pair < $0.count }.map { $0.lowerBound + pair }.sorted()
    if !resets.isEmpty { newBackends.append(.resetPairs(resets)) }
    effect.backendsAdded.append("\(pool.name)/\(backend.name)")
  }

  private mutating func leave(_ old: InstalledState.Backend) {
    guard !old.isLeaving else { return }
    next.backends[old.number]?.isLeaving = true
    beginsLeave.insert(old.number)
    setDraining(old, true)
    effect.backendsRemoved.append("\(old.pool)/\(old.name)")
  }

  /// A leaving backend is usable unless its checks find it down. If they do, its flows are treated as those of any
  /// backend that is down.
  mutating func planLeavingHealth() {
    for number in installed.index.leaving.union(beginsLeave).sorted() where !expired.contains(number) {
      guard let backend = next.backends[number], backend.isLeaving else { continue }
      let isUsable = !desired.unusableLeaving.contains(backend.number)
      guard backend.isUsable != isUsable else { continue }
      next.backends[backend.number]?.isUsable = isUsable
      if isUsable {
        usableOn.append(.setUsable(backend.number, true))
      } else {
        usableOff.append(.setUsable(backend.number, false))
      }
    }
  }

  mutating func planReleases() {
    for number in expired.sorted() {
      guard let backend = next.backends[number], backend.isLeaving else { continue }
      if backend.isUsable { usableOff.append(.setUsable(number, false)) }
      usableOff.removeAll { $0 == .setDraining(number, true) }
      if installed.backends[number]?.isDraining ?? false { usableOff.append(.setDraining(number, false)) }
      releases.append(.releaseBackend(number))
      next.backends[number] = nil
    }
  }
}
