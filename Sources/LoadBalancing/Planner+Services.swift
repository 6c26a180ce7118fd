// SPDX-License-Identifier: Apache-2.0

extension Planner {
  mutating func planServices() throws(PlanError) {
    let wanted = desired.services.filter { members[$0.pool] != nil }.sorted { $0.key < $1.key }
    let keys = Set(wanted.map(\.key))
    for old in installed.services.values.sorted(by: { $0.service.key < $1.service.key })
    where !keys.contains(old.service.key) {
      next.services[old.service.key] = nil
      removals.append(.removeService(old))
      effect.servicesRemoved.append("\(old.service.name) \(old.service.key)")
    }
    for service in wanted {
      guard let pool = next.pools[service.pool], let members = members[service.pool] else { continue }
      if let old = installed.services[service.key] {
        try change(old, to: service, of: pool, pairsNeeded: members.pairsNeeded)
      } else {
        try add(service, to: pool, pairsNeeded: members.pairsNeeded)
      }
    }
  }

  private mutating func add(
    _ service: VirtualService, to pool: InstalledState.Pool, pairsNeeded: Int
  ) throws(PlanError) {
    let run = try pairs.take(Self.pairRun(pairsNeeded), of: "pairs")
    let added = InstalledState.Service(
      number: try serviceNumbers.take(of: "services"), service: service, firstPair: run.lowerBound,
      pairCount: run.count)
    next.services[service.key] = added
    services += [.resetPairs(Array(run)), .addService(added, pool: pool.number)]
    effect.servicesAdded.append("\(service.name) \(service.key) -> \(service.pool)")
  }

  private mutating func change(
    _ old: InstalledState.Service, to service: VirtualService, of pool: InstalledState.Pool, pairsNeeded: Int
  ) throws(PlanError) {
    let isSamePool = old.service.pool == service.pool
    // A wider run of counters must be in place before a table names the backend that needs it, also for a service that
    // moves away after that.
    let needsWiderRun = (members[old.service.pool]?.pairsNeeded ?? 0) > old.pairCount
    let isOver = old.move != nil && ended.contains(old.service.key)
    guard old.service != service || needsWiderRun || isOver else { return }
    var changed = old
    if isOver { changed.move = nil }
    if isSamePool { changed.service = service }
    if service.affinity.mode == .none { changed.move = nil }
    if needsWiderRun, let oldPool = members[old.service.pool] {
      try giveRun(of: oldPool.pairsNeeded, to: &changed)
    }
    if changed != old, let oldPool = next.pools[old.service.pool] {
      widened.append(.changeService(changed, pool: oldPool.number, pairsBefore: old.pairs))
    }
    if !isSamePool {
      changed.move = move(from: changed, to: service)
      changed.service = service
      try giveRun(of: pairsNeeded, to: &changed)
      services.append(.changeService(changed, pool: pool.number, pairsBefore: changed.pairs))
    }
    next.services[service.key] = changed
    if old.service != service {
      effect.servicesChanged.append("\(service.name) \(service.key) -> \(service.pool)")
    }
  }

  /// What flows of a service remember that gets another pool. Of two moves the first counts: as with a slot that changes
  /// again, every flow of the pool in between is in the flow table.
  private func move(
    from old: InstalledState.Service, to service: VirtualService
  ) -> InstalledState.Service.Move? {
    guard service.affinity.mode != .none else { return nil }
    return old.move ?? InstalledState.Service.Move(pool: old.service.pool, pairs: old.pairs, at: now)
  }

  private mutating func giveRun(of needed: Int, to service: inout InstalledState.Service) throws(PlanError) {
    let run = try pairs.take(Self.pairRun(needed), of: "pairs")
    (service.firstPair, service.pairCount) = (run.lowerBound, run.count)
    newBackends.append(.resetPairs(Array(run)))
  }

  /// A run with room to grow, so that adding a backend seldom moves counters.
  private static func pairRun(_ needed: Int) -> Int {
    var run = 16
    while run < needed { run *= 2 }
    return run
  }
}
