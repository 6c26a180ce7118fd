// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

/// Random operators, carried out step by step on a model of the kernel's maps.
@Suite("Planner, random histories")
struct PlannerHistoryTests {
  static let limits = NodeSettings.Limits(services: 12, pools: 8, backends: 48, slots: 400, pairs: 400)

  @Test("2,000 histories: every step of every plan leaves a state that forwards", .timeLimit(.minutes(10)))
  func histories() throws {
    let seed = freshSeed()
    for number in 0..<2000 as Range<UInt64> {
      var history = History(seed: seed &+ number)
      do {
        for _ in 0..<8 { try history.change() }
      } catch {
        Issue.record("seed \(seed &+ number): \(error)")
        return
      }
    }
  }

  @Test("Half-done plans: what a daemon reads back leads to the same end", .timeLimit(.minutes(10)))
  func halfDone() throws {
    let seed = freshSeed()
    for number in 0..<1000 as Range<UInt64> {
      var history = History(seed: seed &+ number)
      history.failsSometimes = true
      do {
        for _ in 0..<8 { try history.change() }
      } catch {
        Issue.record("seed \(seed &+ number): \(error)")
        return
      }
    }
  }
}

/// One random history.
struct History {
  private var random: RandomSource
  private var model = KernelModel(limits: PlannerHistoryTests.limits)
  private var desired = DesiredState()
  /// What the last plan led to, where it was carried out whole.
  private var fulfilled: DesiredState?
  private var time: UInt32 = 0
  var failsSometimes = false

  init(seed: UInt64) { random = RandomSource(seed: seed) }

  /// The operator changes something, time goes by, the daemon follows.
  mutating func change() throws {
    for _ in 0..<Int.random(in: 1...4, using: &random) { mutate() }
    time += UInt32.random(in: 0...(random.chance(15) ? 9000 : 100), using: &random)
    try model.observe(at: Tick(time))
    if random.chance(50) { try sweep() }
    try follow()
  }

  private mutating func follow() throws {
    let now = Tick(time)
    let installed = model.installed
    // Sorted: the order of a set or dictionary differs from run to run, and a seed must repeat its history.
    let numbers = installed.backends.keys.sorted()
    desired.awaited = Set(desired.pools.map(\.name).filter { _ in random.chance(15) })
    desired.unusableLeaving = Set(numbers.filter { _ in random.chance(20) })
    let leaving = numbers.filter { installed.backends[$0]?.isLeaving == true }
    var expired = Set(leaving.filter { _ in random.chance(30) })
    let moved = installed.services.values.filter { $0.move != nil }.map(\.service.key).sorted()
    let ended = Set(moved.filter { _ in random.chance(30) })
    // `--force`: a backend that goes with this very plan.
    if random.chance(10) { expired.formUnion(numbers.filter { _ in random.chance(10) }) }

    let isForced = random.chance(50)
    let plan: Plan
    do {
      plan = try Planner.plan(
        from: installed, to: desired, limits: PlannerHistoryTests.limits, now: now, expired: expired,
        ended: ended, allowsLostFlows: isForced)
    } catch PlanError.losesFlows(let changes) {
      try takeBack(changes, in: installed)
      return
    } catch {
      // Too much at once: the operator takes half of it back.
      desired.pools.removeLast(desired.pools.count / 2)
      return
    }
    try checkNothingIsReused(plan, installed)
    if let fulfilled {
      let shorter = try Planner.plan(
        from: installed, to: desired, limits: PlannerHistoryTests.limits, now: now, expired: expired,
        ended: ended, fulfilled: fulfilled, allowsLostFlows: isForced)
      guard shorter == plan else {
        throw KernelModel.Mistake(
          description: "knowing \(fulfilled), another plan: \(shorter) instead of \(plan)")
      }
    }
    fulfilled = nil

    model.releasing = plan.releasedBackends
    time += UInt32.random(in: 0...KernelModel.lag, using: &random)
    let fails = failsSometimes && random.chance(50)
    for step in plan.steps.prefix(fails ? Int.random(in: 0...plan.steps.count, using: &random) : .max) {
      do {
        try model.apply(step, at: Tick(time))
      } catch {
        throw KernelModel.Mistake(description: "\(error), at \(step), in \(plan.steps)")
      }
    }
    if fails {
      try model.apply(.waitForReaders, at: Tick(time))
      return
    }
    model.markLeaving(as: plan.result)
    fulfilled = desired
    guard model.installed == plan.result else {
      throw KernelModel.Mistake(description: "the result is not what the maps hold, after \(plan.steps)")
    }
    guard model.remains == KernelModel.Remains() else {
      throw KernelModel.Mistake(description: "packets may still use \(model.remains), after \(plan.steps)")
    }
    guard plan.result.index == InstalledState(backends: plan.result.backends).index else {
      throw KernelModel.Mistake(description: "the index is not that of the backends, after \(plan.steps)")
    }
    try checkIdempotence(plan.result)
    try checkTables()
  }

  /// The operator leaves what was refused as it is.
  private mutating func takeBack(_ changes: [SlotSelectionChange], in installed: InstalledState) throws {
    for change in changes {
      guard let index = desired.pools.firstIndex(where: { $0.name == change.pool }),
        let old = installed.pools[change.pool],
        old.hash != desired.pools[index].hash || old.slots.count != desired.pools[index].tableSize
      else { throw KernelModel.Mistake(description: "\(change) is refused, but nothing changes") }
      desired.pools[index].hash = old.hash
      desired.pools[index].tableSize = old.slots.count
    }
  }

  private func checkNothingIsReused(_ plan: Plan, _ installed: InstalledState) throws {
    var regions = installed.pools.mapValues(\.region)
    var replaced: [Range<Int>] = []
    var numbers = Set(installed.backends.keys)
    var pairs = installed.services.values.map(\.pairs)
    for step in plan.steps {
      switch step {
      case .renamePool(let pool):
        for (name, region) in regions where region == pool.region { regions[name] = nil }
        regions[pool.name] = pool.region
      case .publishTable(let table):
        if (replaced + regions.values).contains(where: table.region.overlaps) {
          throw KernelModel.Mistake(description: "slots \(table.region) are used twice")
        }
        if let old = regions.updateValue(table.region, forKey: table.name) { replaced.append(old) }
      case .waitForReaders: replaced = []
      case .writeBackend(let backend):
        if !numbers.insert(backend.number).inserted {
          throw KernelModel.Mistake(description: "backend number \(backend.number) is used twice")
        }
      case .addService(let service, _):
        if pairs.contains(where: service.pairs.overlaps) {
          throw KernelModel.Mistake(description: "pairs \(service.pairs) are used twice")
        }
        pairs.append(service.pairs)
      default: break
      }
    }
  }

  private func checkIdempotence(_ result: InstalledState) throws {
    let again = try Planner.plan(
      from: result, to: desired, limits: PlannerHistoryTests.limits, now: Tick(time + 1))
    var effect = again.effect
    effect.awaited = []
    guard again.isEmpty, again.result == result, effect == Effect() else {
      throw KernelModel.Mistake(
        description: "nothing is desired, yet planned: \(again.steps) \(again.effect)")
    }
  }

  /// The tables are those of the desired state.
  private func checkTables() throws {
    let installed = model.installed
    let held = desired.awaited
    for pool in desired.pools where !held.contains(pool.name) {
      let members = pool.backends.filter(\.takesNewFlows)
      let owners = MaglevTable.build(
        members.map { MaglevTable.Member(address: $0.address, weight: $0.weight) },
        size: pool.tableSize
      ).owners.map { $0 < 0 ? 0 : installed.backend(named: members[Int($0)].name, in: pool.name)?.number }
      guard installed.pools[pool.name]?.slots.map(\.current) == owners else {
        throw KernelModel.Mistake(description: "pool \(pool.name) has another table than desired")
      }
    }
    for backend in installed.backends.values
    where backend.isLeaving && backend.isUsable == desired.unusableLeaving.contains(backend.number) {
      throw KernelModel.Mistake(description: "\(backend) is leaving, and not as usable as its checks say")
    }
    guard desired.awaited.isEmpty else { return }
    let remembered = installed.services.values.compactMap(\.move?.pool)
    guard Set(installed.pools.keys) == Set(desired.pools.map(\.name) + remembered) else {
      throw KernelModel.Mistake(description: "pools are installed that are not desired")
    }
    let services = desired.services.filter { desired.pool(named: $0.pool) != nil }
    guard Set(services) == Set(installed.services.values.map(\.service)) else {
      throw KernelModel.Mistake(description: "other services are installed than desired")
    }
  }

  // MARK: What an operator does

  private mutating func mutate() {
    guard !desired.pools.isEmpty, !random.chance(8) else {
      desired.pools.append(pool())
      desired.pools = Array(Dictionary(grouping: desired.pools, by: \.name).values.map { $0[0] })
        .sorted { $0.name < $1.name }
      return
    }
    let index = Int.random(in: 0..<desired.pools.count, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<4: desired.pools.remove(at: index)
    case 4..<7: desired.pools[index].tableSize = random.pick([7, 13, 31])
    case 7..<9: desired.pools[index].hash = random.pick(HashFields.allCases)
    case 9..<12:
      desired.pools[index].encapsulation = Encapsulation(
        kind: random.pick(Encapsulation.Kind.allCases), variant: random.pick(Encapsulation.Variant.allCases),
        source4: random.pick([nil, IPPrefix(.v4(10, 9, 0, 0), length: 16)]))
    case 12..<16: desired.pools[index].settle = random.pick([50, 7200])
    case 16..<20: desired.pools[index].backends.removeAll()
    case 20..<36: mutateServices()
    case 36..<40: rename(index)
    case 40..<42: desired.pools[index].backends = (1...20).map { backend(name: "b\($0)", last: UInt8($0)) }
    default: mutateBackends(of: index)
    }
  }

  private mutating func rename(_ index: Int) {
    let (old, new) = (desired.pools[index].name, random.pick(["p1", "p2", "p3"]))
    guard desired.pool(named: new) == nil else { return }
    desired.pools[index].name = new
    for service in desired.services.indices where desired.services[service].pool == old {
      desired.services[service].pool = new
    }
    desired.pools.sort { $0.name < $1.name }
  }

  private mutating func mutateServices() {
    let key = VirtualService.Key(
      address: .v4(192, 0, 2, UInt8.random(in: 1...5, using: &random)), transport: .tcp, port: 80)
    desired.services.removeAll { $0.key == key }
    guard random.chance(75) else { return }
    desired.services.append(
      VirtualService(
        key: key, name: random.pick(["web", "www"]), pool: random.pick(["p1", "p2", "p3"]),
        affinity: Affinity(learn: random.pick([30, 7200]))))
  }

  private mutating func mutateBackends(of index: Int) {
    let name = "b\(Int.random(in: 1...6, using: &random))"
    desired.pools[index].backends.removeAll { $0.name == name }
    guard random.chance(75) else { return }
    let last = UInt8.random(in: 1...8, using: &random)
    guard !desired.pools[index].backends.contains(where: { $0.address == .v4(10, 0, 0, last) }) else {
      return
    }
    desired.pools[index].backends.append(backend(name: name, last: last))
    desired.pools[index].backends.shuffle(using: &random)
  }

  private mutating func backend(name: String, last: UInt8) -> Backend {
    Backend(
      name: name, address: .v4(10, 0, 0, last), weight: random.pick([0, 1, 50, 100, 100]),
      state: random.pick([.ready, .ready, .ready, .drain, .maint]))
  }

  private mutating func pool() -> Pool {
    Pool(
      name: random.pick(["p1", "p2", "p3"]),
      backends: (0..<Int.random(in: 0...4, using: &random)).map {
        backend(name: "b\($0 + 1)", last: UInt8($0 + 1))
      }, tableSize: 13)
  }

  /// The daemon's sweep, of which some slots have flows that name another backend than current.
  private mutating func sweep() throws {
    let installed = model.installed
    for pool in installed.pools.values.sorted(by: { $0.name < $1.name }) {
      let foreign = Set(pool.slots.indices.filter { _ in random.chance(30) })
      let rule = installed.settling(of: pool, tickLength: 1)
      for (index, slot) in rule.rewrites(of: pool.slots, at: Tick(time), foreign: foreign) {
        try model.rewrite(pool.name, index, slot, foreign: foreign, at: Tick(time))
      }
    }
    fulfilled = nil
  }
}
