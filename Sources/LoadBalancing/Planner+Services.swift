// SPDX-License-Identifier: Apache-2.0

extension Planner {
  mutating func planServices() throws(PlanError) {
    var wanted: [VirtualService] = []
    for service in desired.services.sorted(by: { $0.key < $1.key }) where members[service.pool] != nil {
      if let granted = granted(service) { wanted.append(granted) }
    }
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
    var changed = old
    changed.move = isOver ? nil : noted(old)
    guard old.service != service || needsWiderRun || changed != old else { return }
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

  /// What flows of a service remember that gets another pool. Of two moves the first counts while it has not settled: as
  /// with a slot that changes again, every flow of the pool in between is in the flow table.
  private func move(
    from old: InstalledState.Service, to service: VirtualService
  ) -> InstalledState.Service.Move? {
    guard service.affinity.mode != .none else { return nil }
    if let move = old.move, !settling(of: old).mayHaveSettled(move, at: now) { return move }
    return InstalledState.Service.Move(pool: old.service.pool, pairs: old.pairs, at: now)
  }

  /// A service's move, in a pool whose slots may be told to remember longer.
  private func noted(_ service: InstalledState.Service) -> InstalledState.Service.Move? {
    let later = next.pools[service.service.pool]?.settle ?? 0
    return service.move.map {
      settling(of: service).noted($0, at: now, growingTo: Tick.count(seconds: later, length: tickLength))
    }
  }

  /// How a service's move settles, by the pool that it has.
  private func settling(of service: InstalledState.Service) -> Settling {
    let settle = installed.pools[service.service.pool]?.settle ?? 0
    return Settling(after: Tick.count(seconds: settle, length: tickLength))
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
