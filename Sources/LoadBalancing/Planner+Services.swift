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
      hasEndedPairs = true
      effect.servicesRemoved.append("\(old.service.name) \(old.service.key)")
    }
    wanted.removeAll { next.pools[$0.pool] == nil || members[$0.pool] == nil }
    // In the order in which the steps are carried out: counters that one step leaves, a later one may take.
    for service in wanted { try changeInPlace(to: service) }
    for service in wanted {
      guard let pool = next.pools[service.pool], let members = members[service.pool] else { continue }
      if installed.services[service.key] == nil {
        try add(service, to: pool, backends: members.pairsNeeded)
      } else {
        try change(to: service, of: pool, backends: members.pairsNeeded)
      }
    }
  }

  private mutating func add(
    _ service: VirtualService, to pool: InstalledState.Pool, backends: Int
  ) throws(PlanError) {
    let run = try takePairs(forBackends: backends, before: \.services)
    let added = InstalledState.Service(
      number: try serviceNumbers.take(of: "services"), service: service, firstPair: run.lowerBound,
      pairCount: run.count)
    next.services[service.key] = added
    services.append(.addService(added, pool: pool.number))
    effect.servicesAdded.append("\(service.name) \(service.key) -> \(service.pool)")
  }

  /// Changes an installed service as far as it keeps its pool. A wider run of counters must be in place before a table
  /// names the backend that needs it, also for a service that moves away after that.
  private mutating func changeInPlace(to service: VirtualService) throws(PlanError) {
    guard let pool = next.services[service.key]?.service.pool else { return }
    let needed = members[pool]?.pairsNeeded ?? 0
    var run: Range<Int>?
    if needed > next.services[service.key]?.pairCount ?? 0 {
      run = try takePairs(forBackends: needed, before: \.widened)
    }
    // Now: taking counters may have moved those of the service.
    guard let old = next.services[service.key] else { return }
    var changed = old
    changed.move = ended.contains(service.key) ? nil : noted(old)
    if pool == service.pool { changed.service = service }
    if service.affinity.mode == .none { changed.move = nil }
    if let run { (changed.firstPair, changed.pairCount) = (run.lowerBound, run.count) }
    if changed != old, let oldPool = next.pools[pool] {
      widened.append(.changeService(changed, pool: oldPool.number, pairsBefore: old.pairs))
      hasEndedPairs = true
    }
    next.services[service.key] = changed
  }

  /// Gives an installed service its new pool.
  private mutating func change(
    to service: VirtualService, of pool: InstalledState.Pool, backends: Int
  ) throws(PlanError) {
    if let before = installed.services[service.key]?.service, before != service {
      effect.servicesChanged.append("\(service.name) \(service.key) -> \(service.pool)")
    }
    guard next.services[service.key]?.service.pool != service.pool else { return }
    let run = try takePairs(forBackends: backends, before: \.services)
    guard let old = next.services[service.key] else { return }
    var changed = old
    changed.move = move(from: old, to: service)
    changed.service = service
    (changed.firstPair, changed.pairCount) = (run.lowerBound, run.count)
    services.append(.changeService(changed, pool: pool.number, pairsBefore: changed.pairs))
    hasEndedPairs = true
    next.services[service.key] = changed
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
}
