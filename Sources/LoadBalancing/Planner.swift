// SPDX-License-Identifier: Apache-2.0

/// Finds the plan from what is installed to what is desired.
public struct Planner: Sendable {
  private let installed: InstalledState
  private let desired: DesiredState
  private let limits: NodeSettings.Limits
  private let now: Tick
  private var next: InstalledState
  private var effect = Effect()

  private var newBackends: [Plan.Step] = []
  private var usableOn: [Plan.Step] = []
  private var usableOff: [Plan.Step] = []
  private var widened: [Plan.Step] = []
  private var tables: [Plan.Step] = []
  private var services: [Plan.Step] = []
  private var releases: [Plan.Step] = []

  /// - Parameters:
  ///   - now: the packet path's time, for slots that change.
  ///   - expired: leaving backends whose time is over, or that are to go at once.
  /// - Throws: ``PlanError`` where a limit would be exceeded; nothing is planned then.
  public static func plan(
    from installed: InstalledState, to desired: DesiredState, limits: NodeSettings.Limits, now: Tick,
    expired: Set<BackendNumber> = []
  ) throws(PlanError) -> Plan {
    var planner = Planner(installed: installed, desired: desired, limits: limits, now: now, next: installed)
    for pool in desired.pools.sorted(by: { $0.name < $1.name }) {
      try planner.planBackends(of: pool, expired)
    }
    planner.planLeavingPools(expired)
    for pool in desired.pools.sorted(by: { $0.name < $1.name }) { try planner.planTable(of: pool) }
    try planner.planServices()
    planner.planReleases(expired)
    return planner.assembled()
  }

  private func assembled() -> Plan {
    var steps = newBackends + usableOn + widened + tables + services + usableOff
    if !releases.isEmpty || !tables.isEmpty { steps.append(.waitForReaders) }
    steps += releases
    return Plan(steps: steps, result: next, effect: effect)
  }

  // MARK: Backends

  private mutating func planBackends(of pool: Pool, _ expired: Set<BackendNumber>) throws(PlanError) {
    var kept: Set<BackendNumber> = []
    for backend in pool.backends.sorted(by: { $0.address < $1.address }) {
      let usable = backend.state != .maint
      if let old = reusable(backend, in: pool, expired) {
        kept.insert(old.number)
        keep(old, as: backend, usable: usable)
      } else {
        kept.insert(try add(backend, to: pool, usable: usable))
      }
    }
    for old in installed.backends(of: pool.name) where !kept.contains(old.number) { leave(old) }
  }

  /// The installed backend that `backend` still is: same name, address and encapsulation.
  private func reusable(_ backend: Backend, in pool: Pool, _ expired: Set<BackendNumber>) -> InstalledState
    .Backend?
  {
    installed.backends(of: pool.name).first {
      $0.name == backend.name && $0.address == backend.address
        && $0.encapsulation == pool.encapsulation.towards($0.address.family)
        && !expired.contains($0.number)
    }
  }

  private mutating func keep(_ old: InstalledState.Backend, as backend: Backend, usable: Bool) {
    if old.isLeaving { effect.backendsAdded.append("\(old.pool)/\(old.name)") }
    if old.isUsable != usable {
      if usable {
        usableOn.append(.setUsable(old.number, true))
      } else {
        usableOff.append(.setUsable(old.number, false))
      }
    }
    next.backends[old.number]?.isUsable = usable
    next.backends[old.number]?.isLeaving = false
  }

  private mutating func add(_ backend: Backend, to pool: Pool, usable: Bool) throws(PlanError)
    -> BackendNumber
  {
    let number = try freeNumber()
    let inUse = next.backends(of: pool.name).map { $0.pair..<($0.pair + 1) }
    let added = InstalledState.Backend(
      number: number, pool: pool.name, name: backend.name, address: backend.address,
      encapsulation: pool.encapsulation.towards(backend.address.family), isUsable: usable,
      pair: firstFree(1, below: .max, used: inUse) ?? 0)
    next.backends[number] = added
    newBackends.append(.writeBackend(added))
    let resets = installed.services.values.filter {
      $0.service.pool == pool.name && added.pair < $0.pairCount
    }
    .map { $0.firstPair + added.pair }.sorted()
    if !resets.isEmpty { newBackends.append(.resetPairs(resets)) }
    effect.backendsAdded.append("\(pool.name)/\(backend.name)")
    return number
  }

  private func freeNumber() throws(PlanError) -> BackendNumber {
    let used = next.backends.keys.map { Int($0)..<(Int($0) + 1) }
    guard let number = firstFree(1, from: 1, below: limits.backends, used: used) else {
      throw .limitExceeded(what: "backends", limit: limits.backends, needed: next.backends.count + 2)
    }
    return BackendNumber(number)
  }

  private mutating func leave(_ old: InstalledState.Backend) {
    guard !old.isLeaving else { return }
    next.backends[old.number]?.isLeaving = true
    effect.backendsRemoved.append("\(old.pool)/\(old.name)")
  }

  /// Pools that are gone: their backends leave, so that flows which other slots remember can end.
  private mutating func planLeavingPools(_ expired: Set<BackendNumber>) {
    for pool in installed.pools.values where desired.pool(named: pool.name) == nil {
      for old in installed.backends(of: pool.name) { leave(old) }
      next.pools[pool.name] = nil
      releases.append(.releasePool(number: pool.number))
    }
  }

  // MARK: Tables

  private mutating func planTable(of pool: Pool) throws(PlanError) {
    let old = installed.pools[pool.name]
    let slots = slots(of: pool, after: old)
    if let old, old.slots == slots, old.hash == pool.hash { return }

    let used = (Array(installed.pools.values) + next.pools.values).map(\.region)
    guard let first = firstFree(pool.tableSize, below: limits.slots, used: used) else {
      throw .limitExceeded(
        what: "slots", limit: limits.slots, needed: used.map(\.count).reduce(0, +) + pool.tableSize)
    }
    let number = if let old { old.number } else { try freePoolNumber() }
    let table = InstalledState.Pool(
      number: number, name: pool.name, hash: pool.hash, firstSlot: first, slots: slots)
    next.pools[pool.name] = table
    tables.append(.publishTable(table))
    describe(pool, old, slots)
  }

  private func freePoolNumber() throws(PlanError) -> Int {
    let used = (Array(installed.pools.values) + next.pools.values).map { $0.number..<($0.number + 1) }
    guard let number = firstFree(1, below: limits.pools, used: used) else {
      throw .limitExceeded(what: "pools", limit: limits.pools, needed: next.pools.count + 1)
    }
    return number
  }

  private func slots(of pool: Pool, after old: InstalledState.Pool?) -> [Slot] {
    let owners = self.owners(of: pool, where: \.takesNewFlows)
    if let old, old.slots.count == pool.tableSize {
      return zip(old.slots, owners).map { $0.given(to: $1, at: now) }
    }
    guard pool.backends.contains(where: { $0.state == .drain }) else {
      return owners.map { Slot(current: $0) }
    }
    // Nobody remembers how it was: a draining backend's share is what it would be if it were not draining.
    let before = self.owners(of: pool) { $0.state != .maint && $0.weight > 0 }
    return zip(owners, before).map { $0 == $1 ? Slot(current: $0) : Slot(current: $1).given(to: $0, at: now) }
  }

  private func owners(of pool: Pool, where takesPart: (Backend) -> Bool) -> [BackendNumber] {
    let members = pool.backends.filter(takesPart)
    let numbers = members.map { member in
      next.backends(of: pool.name).first { $0.name == member.name && !$0.isLeaving }?.number ?? 0
    }
    let table = MaglevTable.build(
      members.map { MaglevTable.Member(key: $0.address.description, weight: $0.weight) }, size: pool.tableSize
    )
    return table.owners.map { $0 < 0 ? 0 : numbers[Int($0)] }
  }

  private mutating func describe(_ pool: Pool, _ old: InstalledState.Pool?, _ slots: [Slot]) {
    guard let old else {
      effect.pools.append(.init(pool: pool.name, slotsMoved: slots.count, slotsTotal: slots.count))
      return
    }
    if slots.allSatisfy({ $0.current == 0 }), !old.slots.allSatisfy({ $0.current == 0 }) {
      effect.warnings.append("pool \(pool.name): no backend is left that takes new flows; they will be dropped")
    }
    let comparable = old.slots.count == slots.count && old.hash == pool.hash
    let moved = comparable ? zip(old.slots, slots).count { $0.current != $1.current } : slots.count
    effect.pools.append(.init(pool: pool.name, slotsMoved: moved, slotsTotal: slots.count))
    if !comparable {
      effect.warnings.append(
        "pool \(pool.name): a changed table_size or hash moves flows without memory; connections break")
    }
  }

  // MARK: Services

  private mutating func planServices() throws(PlanError) {
    let wanted = Dictionary(uniqueKeysWithValues: desired.services.map { ($0.key, $0) })
    for old in installed.services.values.sorted(by: { $0.service.key < $1.service.key })
    where wanted[old.service.key] == nil {
      next.services[old.service.key] = nil
      services.append(.removeService(old))
      effect.servicesRemoved.append("\(old.service.name) \(old.service.key)")
    }
    for service in desired.services.sorted(by: { $0.key < $1.key }) { try planService(service) }
  }

  private mutating func planService(_ service: VirtualService) throws(PlanError) {
    guard let pool = next.pools[service.pool] else { return }
    let needed = (next.backends(of: service.pool).map(\.pair).max() ?? -1) + 1
    guard let old = installed.services[service.key] else {
      let added = InstalledState.Service(
        number: try freeServiceNumber(), service: service, firstPair: try freePairs(needed),
        pairCount: Self.pairRun(needed))
      next.services[service.key] = added
      services += [.resetPairs(Array(added.pairs)), .addService(added, pool: pool.number)]
      effect.servicesAdded.append("\(service.name) \(service.key) -> \(service.pool)")
      return
    }
    let samePool = old.service.pool == service.pool
    guard old.service != service || needed > old.pairCount else { return }
    var changed = old
    changed.service = service
    if needed > old.pairCount || !samePool {
      changed.firstPair = try freePairs(needed)
      changed.pairCount = Self.pairRun(needed)
      newBackends.append(.resetPairs(Array(changed.pairs)))
    }
    next.services[service.key] = changed
    let step = Plan.Step.changeService(
      changed, pool: pool.number, pairsBefore: samePool ? old.pairs : changed.pairs)
    // A wider run of counters must be in place before a table names the backend that needs it.
    if samePool { widened.append(step) } else { services.append(step) }
    if old.service != service {
      effect.servicesChanged.append("\(service.name) \(service.key) -> \(service.pool)")
    }
  }

  /// A run with room to grow, so that adding a backend seldom moves counters.
  private static func pairRun(_ needed: Int) -> Int {
    var run = 16
    while run < needed { run *= 2 }
    return run
  }

  private func freePairs(_ needed: Int) throws(PlanError) -> Int {
    let run = Self.pairRun(needed)
    let used = (Array(installed.services.values) + next.services.values).map(\.pairs)
    guard let first = firstFree(run, below: limits.pairs, used: used) else {
      throw .limitExceeded(what: "pairs", limit: limits.pairs, needed: used.map(\.count).reduce(0, +) + run)
    }
    return first
  }

  private func freeServiceNumber() throws(PlanError) -> Int {
    let used = (Array(installed.services.values) + next.services.values).map { $0.number..<($0.number + 1) }
    guard let number = firstFree(1, from: 1, below: limits.services, used: used) else {
      throw .limitExceeded(what: "services", limit: limits.services, needed: next.services.count + 1)
    }
    return number
  }

  // MARK: Releases

  private mutating func planReleases(_ expired: Set<BackendNumber>) {
    for number in expired.sorted() where next.backends[number]?.isLeaving == true {
      usableOff.append(.setUsable(number, false))
      releases.append(.releaseBackend(number))
      next.backends[number] = nil
    }
  }
}
