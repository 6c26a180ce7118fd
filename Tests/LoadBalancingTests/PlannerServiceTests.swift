// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Planner, services and pools")
struct PlannerServiceTests {
  @Test("A service joins a pool that is there")
  func add() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    world.desired.services.append(PlannerWorld.service(2))
    let plan = try world.follow()
    #expect(plan.kinds == ["reset", "add"])
    #expect(plan.effect.servicesAdded == ["www 192.0.2.2:443/tcp -> web"])
  }

  @Test("A service goes: readers are waited for before its number is used again")
  func remove() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let number = try #require(world.installed.services.values.first).number
    world.desired.services = [PlannerWorld.service(2)]
    #expect(try world.follow().kinds == ["remove", "reset", "add", "wait"])
    #expect(try #require(world.installed.services.values.first).number != number)
    world.desired.services = []
    let plan = try world.follow()
    #expect(plan.kinds == ["remove", "wait"])
    #expect(plan.effect.servicesRemoved == ["www 192.0.2.2:443/tcp"])
  }

  @Test("Another name or affinity changes the record, not its counters")
  func change() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let before = try #require(world.installed.services.values.first)
    world.desired.services[0].affinity.learn = 30
    #expect(try world.follow().kinds == ["change", "wait"])
    let after = try #require(world.installed.services.values.first)
    #expect(after.pairs == before.pairs && after.number == before.number)
    #expect(after.service.affinity.learn == 30)
  }

  @Test("A service moves to a pool that comes with it: the pool's table first, counters from zero")
  func move() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let before = try #require(world.installed.services.values.first)
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    world.desired.services[0].pool = "other"
    let plan = try world.follow()
    #expect(plan.kinds == ["write", "table", "reset", "change", "wait"])
    let after = try #require(world.installed.services.values.first)
    #expect(after.number == before.number && !after.pairs.overlaps(before.pairs))
    #expect(plan.effect.servicesChanged == ["www 192.0.2.1:443/tcp -> other"])
  }

  @Test("A pool goes with its services: they first, its number last, its backends leave")
  func removePool() throws {
    var world = PlannerWorld(backends: 2)
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    try world.follow()
    world.desired.pools.remove(at: 0)
    world.desired.services = []
    let plan = try world.follow()
    #expect(plan.kinds == ["remove", "draining", "draining", "wait", "releasePool"])
    #expect(plan.effect.backendsRemoved == ["web/b1", "web/b2"])
    #expect(world.installed.pools.keys.sorted() == ["other"])
    let leaving = Set(world.installed.backends.values.filter(\.isLeaving).map(\.number))
    #expect(leaving.count == 2)
    let last = try world.follow(expired: leaving)
    #expect(
      last.kinds == ["unusable", "not draining", "unusable", "not draining", "wait", "release", "release"])
  }

  @Test(
    "A pool goes and its service moves: its older flows ask the old table, until the move is over")
  func replacePool() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    world.desired.pools = [PlannerWorld.pool("other", 5)]
    world.desired.services = [PlannerWorld.service(1, pool: "other")]
    #expect(
      try world.follow().kinds.suffix(6) == ["table", "reset", "change", "draining", "draining", "wait"])
    let moved = try #require(world.installed.services.values.first)
    #expect(moved.move?.pool == "web")
    #expect(moved.move?.pairs.overlaps(moved.pairs) == false)
    #expect(world.installed.pools.keys.sorted() == ["other", "web"])

    var census = FlowCensus()
    let settled = Tick(world.time + 7201)
    #expect(census.endedMoves(in: world.installed, now: Tick(world.time + 7000), tickLength: 1).isEmpty)
    #expect(census.endedMoves(in: world.installed, now: settled, tickLength: 1) == [moved.service.key])
    census.remembering = [moved.service.key]
    #expect(census.endedMoves(in: world.installed, now: settled, tickLength: 1).isEmpty)

    let plan = try world.follow(ended: [moved.service.key])
    #expect(plan.kinds == ["change", "wait", "releasePool"])
    #expect(world.installed.services.values.first?.move == nil)
  }

  @Test("A service that moves twice remembers the first pool, and back again none but it")
  func moveTwice() throws {
    var world = PlannerWorld(backends: 2)
    world.desired.pools += [PlannerWorld.pool("other", 1), PlannerWorld.pool("third", 1)]
    try world.follow()
    for pool in ["other", "third", "web"] {
      world.desired.services[0].pool = pool
      try world.follow()
      #expect(world.installed.services.values.first?.move?.pool == "web")
    }
  }

  @Test("A service that moves again once its move may have settled remembers the pool in between")
  func moveAfterSettling() throws {
    for age in [7190, 7195, 7196, 7300] as [UInt32] {
      var world = PlannerWorld(backends: 2)
      world.desired.pools += [PlannerWorld.pool("other", 1), PlannerWorld.pool("third", 1)]
      try world.follow()
      world.desired.services[0].pool = "other"
      try world.follow()
      let first = try #require(world.installed.services.values.first?.move)
      world.time = first.at.value + age - 1
      world.desired.services[0].pool = "third"
      try world.follow()
      let move = try #require(world.installed.services.values.first?.move)
      #expect(move.pool == (age < 7196 ? "web" : "other"))
      #expect(move.at == (age < 7196 ? first.at : Tick(first.at.value + age)))
    }
  }

  @Test(
    "A move that has settled stays so when its pool is told to remember longer, and one that has not does not"
  )
  func settleGrows() throws {
    for age in [100, 7300] as [UInt32] {
      var world = PlannerWorld(backends: 2)
      world.desired.pools += [PlannerWorld.pool("other", 1)]
      try world.follow()
      world.desired.services[0].pool = "other"
      try world.follow()
      world.time = try #require(world.installed.services.values.first?.move).at.value + age - 1
      let index = try #require(world.desired.pools.firstIndex { $0.name == "other" })
      world.desired.pools[index].settle = 20_000
      let kinds = try world.follow().kinds
      let move = try #require(world.installed.services.values.first?.move)
      #expect(Tick(world.time).since(move.at) == (age == 100 ? 100 : 20_001))
      #expect(kinds.first == (age == 100 ? "settle" : "change"), "\(kinds)")
    }
  }

  @Test("A service whose pool is not there is not installed, and goes with its pool")
  func missingPool() throws {
    var world = PlannerWorld(backends: 1)
    world.desired.services.append(PlannerWorld.service(2, pool: "nowhere"))
    try world.follow()
    #expect(world.installed.services.count == 1)
    world.desired.pools = []
    try world.follow()
    #expect(world.installed.services.isEmpty)
  }

  @Test("Counters widen before the table that needs it, and move along")
  func widen() throws {
    var world = PlannerWorld(backends: 16)
    try world.follow()
    let before = try #require(world.installed.services.values.first)
    #expect(before.pairCount == 16)
    world.desired.pools[0].backends.append(PlannerWorld.backend(17))
    let plan = try world.follow()
    #expect(plan.kinds == ["write", "reset", "change", "table", "wait"])
    let after = try #require(world.installed.services.values.first)
    #expect(after.pairCount == 32)
    #expect(plan.steps.contains(.changeService(after, pool: 0, pairsBefore: before.pairs)))
  }

  @Test("Counters widen also for a service that leaves the pool in the same plan")
  func widenBeforeMove() throws {
    var world = PlannerWorld(backends: 16)
    try world.follow()
    world.desired.pools[0].backends.append(PlannerWorld.backend(17))
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    world.desired.services[0].pool = "other"
    let changes = try world.follow().kinds.filter { ["change", "table"].contains($0) }
    #expect(changes == ["change", "table", "table", "change"])
    #expect(try #require(world.installed.services.values.first).pairCount == 16)
  }

  @Test("The order of backends, pools and services in the configuration does not matter")
  func order() throws {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    var world = PlannerWorld(backends: 9)
    world.desired.pools += [PlannerWorld.pool("a", 3), PlannerWorld.pool("z", 5)]
    world.desired.services += [
      PlannerWorld.service(2), PlannerWorld.service(3, pool: "a"), PlannerWorld.service(4, pool: "z"),
    ]
    var later = world.desired
    later.pools.removeLast()
    later.pools[0].backends.removeFirst(2)
    later.pools[1].backends[0].weight = 7
    later.services.removeLast()
    for _ in 0..<20 {
      var shuffled = world
      shuffled.desired = Self.shuffled(world.desired, &random)
      var plain = world
      #expect(try plain.follow() == shuffled.follow(), "seed \(seed)")
      plain.desired = later
      shuffled.desired = Self.shuffled(later, &random)
      #expect(try plain.follow(expired: [4]) == shuffled.follow(expired: [4]), "seed \(seed)")
    }
  }

  private static func shuffled(_ desired: DesiredState, _ random: inout RandomSource) -> DesiredState {
    var desired = desired
    for index in desired.pools.indices { desired.pools[index].backends.shuffle(using: &random) }
    desired.pools.shuffle(using: &random)
    desired.services.shuffle(using: &random)
    return desired
  }
}

@Suite("Planner, limits")
struct PlannerLimitTests {
  private func refusal(_ world: PlannerWorld, _ limits: NodeSettings.Limits) -> PlanError? {
    do throws(PlanError) {
      _ = try Planner.plan(from: world.installed, to: world.desired, limits: limits, now: Tick(0))
      return nil
    } catch { return error }
  }

  @Test("What fits to the last place fits, and one more is refused with what it needs")
  func atTheLimit() throws {
    var world = PlannerWorld(backends: 3)
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    world.desired.services.append(PlannerWorld.service(2))
    let exact = NodeSettings.Limits(services: 2, pools: 2, backends: 4, slots: 502, pairs: 32)
    #expect(refusal(world, exact) == nil)
    var limits = exact
    limits.services -= 1
    #expect(refusal(world, limits) == .limitExceeded(what: "services", limit: 1, needed: 2))
    limits = exact
    limits.pools -= 1
    #expect(refusal(world, limits) == .limitExceeded(what: "pools", limit: 1, needed: 2))
    limits = exact
    limits.backends -= 1
    #expect(refusal(world, limits) == .limitExceeded(what: "backends", limit: 3, needed: 4))
    limits = exact
    limits.slots -= 1
    #expect(refusal(world, limits) == .limitExceeded(what: "slots", limit: 501, needed: 502))
    limits = exact
    limits.pairs -= 1
    #expect(refusal(world, limits) == .limitExceeded(what: "pairs", limit: 31, needed: 32))
  }

  @Test("A changed table needs room beside the old one; what is installed is counted once")
  func spare() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world.set("b1") { $0.weight = 1 }
    #expect(
      refusal(world, NodeSettings.Limits(services: 4, pools: 1, backends: 8, slots: 501, pairs: 16))
        == .limitExceeded(what: "slots", limit: 501, needed: 502))
    #expect(
      refusal(world, NodeSettings.Limits(services: 4, pools: 1, backends: 8, slots: 502, pairs: 16)) == nil)
  }

  @Test("A pool has as many places for backends as a record can tell, and those that leave keep theirs")
  func places() throws {
    let limits = NodeSettings.Limits(services: 1, pools: 1, backends: 100_000, slots: 502, pairs: 100_000)
    func plan(beside leaving: Int) throws(PlanError) -> Plan {
      let backends = (0..<leaving).map { place in
        InstalledState.Backend(
          number: BackendNumber(place + 1), pool: "web", name: "old\(place)", address: .v4(10, 1, 0, 1),
          encapsulation: Encapsulation(), isUsable: true, pair: place, isLeaving: true, isDraining: true)
      }
      let installed = InstalledState(
        backends: Dictionary(uniqueKeysWithValues: backends.map { ($0.number, $0) }))
      return try Planner.plan(
        from: installed, to: PlannerWorld(backends: 1).desired, limits: limits, now: Tick(0))
    }
    let full = try plan(beside: Pool.maximumBackends - 1)
    #expect(full.result.backend(named: "b1", in: "web")?.pair == 65_535)
    #expect(throws: PlanError.poolFull(pool: "web")) { try plan(beside: Pool.maximumBackends) }
  }

  @Test("The message tells what to raise")
  func message() {
    #expect(
      PlanError.limitExceeded(what: "slots", limit: 501, needed: 502).description
        == "limits.slots is 501, but the change needs 502: raise it in the configuration and restart"
    )
  }
}
