// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// A little model of the kernel's maps that carries out steps and complains about each that a packet could see go wrong.
struct KernelModel {
  struct Mistake: Error, CustomStringConvertible {
    var description: String
  }

  struct Service: Equatable {
    var service: VirtualService
    var number: Int
    var pool: Int
    var pairs: Range<Int>
    var move: InstalledState.Service.Move?
  }

  struct Table: Equatable {
    var name: String
    var hash: HashFields
    var region: Range<Int>
    var settle: Int
  }

  /// What packets in flight may still be using.
  struct Remains: Equatable {
    var slots: [Range<Int>] = []
    var pools: Set<Int> = []
    var services: Set<Int> = []
    var pairs: [Range<Int>] = []
    var backends: Set<BackendNumber> = []
  }

  let limits: NodeSettings.Limits
  var backends: [BackendNumber: InstalledState.Backend] = [:]
  var slots: [Slot]
  var tables: [Int: Table] = [:]
  private(set) var services: [VirtualService.Key: Service] = [:]
  /// Backends that the plan under way is to release: the only ones that slots may forget.
  var releasing: Set<BackendNumber> = []
  /// By pool number and place: the change after which packets took a slot for settled.
  var settledSince: [Int: [Int: Tick]] = [:]
  /// Counters that start from zero for whoever counts there next.
  private var fresh: Set<Int> = []
  private(set) var remains = Remains()

  init(limits: NodeSettings.Limits) {
    self.limits = limits
    slots = Array(repeating: Slot(current: 0), count: limits.slots)
  }

  /// What a daemon reads back.
  var installed: InstalledState {
    InstalledState(
      backends: backends,
      pools: Dictionary(
        uniqueKeysWithValues: tables.map { number, table in
          let pool = InstalledState.Pool(
            number: number, name: table.name, hash: table.hash, firstSlot: table.region.lowerBound,
            slots: Array(slots[table.region]), settle: table.settle)
          return (table.name, pool)
        }),
      services: services.mapValues {
        InstalledState.Service(
          number: $0.number, service: $0.service, firstPair: $0.pairs.lowerBound, pairCount: $0.pairs.count,
          move: $0.move)
      })
  }

  mutating func apply(_ step: Plan.Step, at now: Tick) throws(Mistake) {
    switch step {
    case .renameBackend(let backend): try rename(backend)
    case .renamePool(let pool): try rename(pool)
    case .writeBackend(let backend): try write(backend)
    case .resetPairs(let pairs): try reset(pairs)
    case .publishTable(let pool): try publish(pool, at: now)
    case .addService(let service, let pool): try add(service, pool)
    case .changeService(let service, let pool, let before): try change(service, pool, before)
    case .removeService(let service): try remove(service)
    case .setUsable(let number, let isUsable): try setUsable(number, isUsable)
    case .setDraining(let number, let isDraining): try setDraining(number, isDraining)
    case .setSettle(let pool): try setSettle(pool)
    case .waitForReaders: remains = Remains()
    case .releaseBackend(let number): try release(number)
    case .releasePool(let number): try releasePool(number)
    }
    try checkForwarding()
    try observe(at: now)
  }

  /// The daemon marks leaving backends once all steps are done.
  mutating func markLeaving(as result: InstalledState) {
    for number in backends.keys {
      backends[number]?.isLeaving = result.backends[number]?.isLeaving ?? false
    }
  }

  func require(_ holds: Bool, _ complaint: @autoclosure () -> String) throws(Mistake) {
    if !holds { throw Mistake(description: complaint()) }
  }

  // MARK: What always holds

  private func checkForwarding() throws(Mistake) {
    for service in services.values {
      guard let table = tables[service.pool] else {
        throw Mistake(description: "\(service.service.key) names pool \(service.pool), which has no table")
      }
      for slot in slots[table.region] where slot.current != 0 {
        guard let backend = backends[slot.current] else {
          throw Mistake(
            description: "\(service.service.key) resolves to backend \(slot.current), not written")
        }
        try require(backend.isUsable, "new flows go to backend \(slot.current), which is not usable")
        try require(
          backend.pair < service.pairs.count,
          "\(service.service.key) counts backend \(slot.current) beyond its \(service.pairs.count) pairs")
      }
    }
  }

  /// Whether a published table names the backend, as current or as previous.
  private func isNamed(_ number: BackendNumber) -> Bool {
    tables.values.contains { table in
      slots[table.region].contains { $0.current == number || $0.previous == number }
    }
  }

  // MARK: Backends

  private mutating func write(_ backend: InstalledState.Backend) throws(Mistake) {
    let number = backend.number
    try require((1...limits.backends).contains(Int(number)), "backend number \(number) is out of range")
    try require(backends[number] == nil, "backend \(number) is overwritten")
    try require(!remains.backends.contains(number), "backend \(number) is reused at once")
    try require(!isNamed(number), "backend \(number) is reused while a slot names it")
    try require(
      !backends.values.contains { $0.pool == backend.pool && $0.pair == backend.pair },
      "two backends of \(backend.pool) count at \(backend.pair)")
    backends[number] = backend
    backends[number]?.isLeaving = false
  }

  private mutating func rename(_ backend: InstalledState.Backend) throws(Mistake) {
    try require(backends[backend.number] != nil, "backend \(backend.number) is renamed, but not written")
    backends[backend.number]?.pool = backend.pool
  }

  private mutating func rename(_ pool: InstalledState.Pool) throws(Mistake) {
    guard let old = tables[pool.number] else { throw Mistake(description: "\(pool.name) is not there") }
    tables[pool.number]?.name = pool.name
    for key in services.keys {
      if services[key]?.pool == pool.number { services[key]?.service.pool = pool.name }
      if services[key]?.move?.pool == old.name { services[key]?.move?.pool = pool.name }
    }
  }

  private mutating func setUsable(_ number: BackendNumber, _ isUsable: Bool) throws(Mistake) {
    try require(backends[number] != nil, "backend \(number) is not written, but made usable: \(isUsable)")
    backends[number]?.isUsable = isUsable
  }

  private mutating func setDraining(_ number: BackendNumber, _ isDraining: Bool) throws(Mistake) {
    try require(backends[number] != nil, "backend \(number) is not written, but said to drain: \(isDraining)")
    backends[number]?.isDraining = isDraining
  }

  private mutating func release(_ number: BackendNumber) throws(Mistake) {
    try require(backends[number]?.isUsable == false, "backend \(number) is released while usable, or twice")
    try require(backends[number]?.isDraining == false, "backend \(number) is released while it drains")
    try require(!isNamed(number), "backend \(number) is released while a slot names it")
    try require(
      !remains.backends.contains(number), "backend \(number) is released before packets let go of it")
    backends[number] = nil
  }

  // MARK: Tables

  private mutating func publish(_ pool: InstalledState.Pool, at now: Tick) throws(Mistake) {
    let old = tables[pool.number]
    try require((0..<limits.pools).contains(pool.number), "pool number \(pool.number) is out of range")
    try require(
      old == nil || old?.name == pool.name, "pool \(pool.name) takes the number of \(old?.name ?? "")")
    try require(
      old != nil || !remains.pools.contains(pool.number), "pool number \(pool.number) is reused at once")
    try require(pool.region.upperBound <= limits.slots, "slots \(pool.region) are out of range")
    for taken in tables.values.map(\.region) + remains.slots {
      try require(!taken.overlaps(pool.region), "slots \(pool.region) overwrite \(taken)")
    }
    for slot in pool.slots {
      for number in [slot.current, slot.previous] where number != 0 {
        try require(
          backends[number]?.pool == pool.name, "\(pool.name) names \(number), not written or not its own")
      }
    }
    let isAsked = services.values.contains { $0.pool == pool.number || $0.move?.pool == pool.name }
    if let old, isAsked, old.region.count == pool.slots.count, old.hash == pool.hash {
      try checkSuccession(of: old, by: pool, at: now)
    } else {
      settledSince[pool.number] = nil
    }
    if let old {
      remains.slots.append(old.region)
      for slot in slots[old.region] { remains.backends.formUnion([slot.current, slot.previous]) }
    }
    slots.replaceSubrange(pool.region, with: pool.slots)
    tables[pool.number] = Table(
      name: pool.name, hash: pool.hash, region: pool.region, settle: pool.settle)
  }

  private mutating func setSettle(_ pool: InstalledState.Pool) throws(Mistake) {
    try require(tables[pool.number]?.name == pool.name, "\(pool.name) settles, but is not there")
    tables[pool.number]?.settle = pool.settle
  }

  private mutating func releasePool(_ number: Int) throws(Mistake) {
    try require(tables[number] != nil, "pool \(number) is released twice")
    try require(!services.values.contains { $0.pool == number }, "pool \(number) is released while in use")
    try require(
      !services.values.contains { $0.move?.pool == tables[number]?.name },
      "pool \(number) is released while older flows are asked of it")
    try require(!remains.pools.contains(number), "pool \(number) is released before packets let go of it")
    tables[number] = nil
    settledSince[number] = nil
  }

  // MARK: Services and counters

  private mutating func reset(_ pairs: [Int]) throws(Mistake) {
    for service in services.values {
      let table = tables[service.pool].map { slots[$0.region] } ?? []
      for pair in pairs where service.pairs.contains(pair) {
        let counting = table.flatMap { [$0.current, $0.previous] }
          .contains { backends[$0]?.pair == pair - service.pairs.lowerBound }
        try require(!counting, "pair \(pair) is reset while \(service.service.key) counts there")
      }
    }
    for run in remains.pairs {
      try require(!pairs.contains(where: run.contains), "pairs \(run) are reset while packets count there")
    }
    fresh.formUnion(pairs)
  }

  private mutating func take(_ run: Range<Int>, for key: VirtualService.Key) throws(Mistake) {
    try require(run.upperBound <= limits.pairs, "pairs \(run) are out of range")
    for other in services.values {
      try require(!other.pairs.overlaps(run), "\(key) counts where \(other.service.key) does")
      try require(
        other.move?.pairs.overlaps(run) != true, "\(key) counts where older flows of \(other.service.key) do")
    }
    try require(fresh.isSuperset(of: run), "\(key) counts on from another's \(run)")
    fresh.subtract(run)
  }

  private mutating func add(_ service: InstalledState.Service, _ pool: Int) throws(Mistake) {
    let key = service.service.key
    try require(
      (1...limits.services).contains(service.number), "service number \(service.number) is out of range")
    try require(services[key] == nil, "\(key) is added twice")
    try require(!services.values.contains { $0.number == service.number }, "\(key) takes another's number")
    try require(
      !remains.services.contains(service.number), "service number \(service.number) is reused at once")
    try require(tables[pool]?.name == service.service.pool, "\(key) is bound to pool \(pool), not its own")
    try take(service.pairs, for: key)
    services[key] = Service(
      service: service.service, number: service.number, pool: pool, pairs: service.pairs)
  }

  private mutating func change(
    _ service: InstalledState.Service, _ pool: Int, _ before: Range<Int>
  ) throws(Mistake) {
    let key = service.service.key
    guard let old = services[key] else { throw Mistake(description: "\(key) is changed but not there") }
    try require(old.number == service.number, "\(key) changes its number")
    try require(tables[pool]?.name == service.service.pool, "\(key) is bound to pool \(pool), not its own")
    if old.pairs != service.pairs {
      try take(service.pairs, for: key)
      remains.pairs.append(old.pairs)
    }
    let movesCounters = before != service.pairs
    try require(!movesCounters || before == old.pairs, "\(key) takes along what \(before) counted")
    try require(
      movesCounters == (old.pool == pool && old.pairs != service.pairs), "\(key) mixes pools' counters")
    if old.pool != pool {
      remains.pools.insert(old.pool)
      try require(
        service.move != nil || service.service.affinity.mode == .none,
        "\(key) forgets its flows of pool \(old.pool)")
    }
    if let move = service.move {
      try require(tables.values.contains { $0.name == move.pool }, "\(key) remembers \(move.pool), not there")
      try require(
        move.pairs == old.move?.pairs || move.pairs == old.pairs, "\(key) counts older flows at \(move.pairs)"
      )
    }
    if let move = old.move, move.pairs != service.move?.pairs { remains.pairs.append(move.pairs) }
    services[key] = Service(
      service: service.service, number: service.number, pool: pool, pairs: service.pairs, move: service.move)
  }

  private mutating func remove(_ service: InstalledState.Service) throws(Mistake) {
    guard let old = services.removeValue(forKey: service.service.key) else {
      throw Mistake(description: "\(service.service.key) is removed twice")
    }
    remains.services.insert(old.number)
    remains.pools.insert(old.pool)
    remains.pairs.append(old.pairs)
    if let move = old.move { remains.pairs.append(move.pairs) }
  }
}
