// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LoadBalancing

/// Limits that the configuration's check accepts are enough for the changes that follow.
@Suite("Planner, slots and counters that are short")
struct PlannerRegionTests {
  /// Pools of several table sizes, with a service each, under exactly the slots that the check asks for.
  private static func world(_ sizes: [Int], slots: Int? = nil) -> PlannerWorld {
    var world = PlannerWorld(
      backends: 0,
      limits: NodeSettings.Limits(
        services: 16, pools: 16, backends: 200, slots: slots ?? sizes.reduce(sizes.max() ?? 0, +), pairs: 256)
    )
    world.desired = DesiredState()
    for (index, size) in sizes.enumerated() { add(index, size, to: &world) }
    return world
  }

  private static func add(_ index: Int, _ size: Int, to world: inout PlannerWorld) {
    var pool = PlannerWorld.pool("p\(index)", 3)
    pool.tableSize = size
    world.desired.pools.append(pool)
    world.desired.services.append(PlannerWorld.service(UInt8(index + 1), pool: pool.name))
  }

  private static func change(_ index: Int, weight: Int, of world: inout PlannerWorld) {
    world.desired.pools[index].backends[0].weight = weight
  }

  @Test("A small table that changes leaves the slots in one piece that a large one needs")
  func mixedSizes() throws {
    var world = Self.world([101, 251])
    try world.follow()
    for weight in 1...4 {
      Self.change(0, weight: weight, of: &world)
      try world.follow()
      Self.change(1, weight: weight, of: &world)
      try world.follow()
    }
    // The first table lies before the other one: it is written into the free slots, then in its former place.
    Self.change(0, weight: 9, of: &world)
    #expect(try world.follow().kinds == ["table", "wait", "table", "wait"])
  }

  @Test("Tables move together for a new pool that the sum leaves slots for")
  func newPool() throws {
    var world = Self.world([31, 61, 31, 61, 31, 101], slots: 31 + 61 + 31 + 61 + 31 + 101 + 101)
    try world.follow()
    for index in [4, 2, 0] {
      world.desired.pools.remove(at: index)
      world.desired.services.remove(at: index)
    }
    try world.follow()
    let gone = Set(world.installed.backends.values.filter(\.isLeaving).map(\.number))
    try world.follow(expired: gone)
    Self.add(7, 89, to: &world)
    let plan = try world.follow()
    #expect(plan.kinds.count { $0 == "table" } > 1, "\(plan.kinds)")
    #expect(world.installed.pools["p7"]?.slots.count == 89)
  }

  @Test(
    "300 histories: within the limit that the check asks for, no change is refused", .timeLimit(.minutes(5)))
  func checkedFits() throws {
    let seed = freshSeed()
    var (plans, moves) = (0, 0)
    for number in 0..<300 as Range<UInt64> {
      var random = RandomSource(seed: seed &+ number)
      let sizes = (0..<Int.random(in: 1...6, using: &random)).map { _ in random.pick([7, 13, 31, 61, 101]) }
      var world = Self.world(sizes)
      var next = sizes.count
      do {
        for _ in 0..<20 {
          for index in world.desired.pools.indices where random.chance(40) {
            Self.change(index, weight: Int.random(in: 1...1000, using: &random), of: &world)
          }
          if random.chance(20), world.desired.pools.count > 1 {
            let index = Int.random(in: 0..<world.desired.pools.count, using: &random)
            world.desired.pools.remove(at: index)
            world.desired.services.remove(at: index)
          } else if random.chance(40), next < 200 {
            let size = random.pick([7, 13, 31, 61, 101])
            let all = world.desired.pools.map(\.tableSize) + [size]
            if all.reduce(all.max() ?? 0, +) <= world.limits.slots, all.count <= 16 {
              Self.add(next, size, to: &world)
              next += 1
            }
          }
          let gone = Set(world.installed.backends.values.filter(\.isLeaving).map(\.number))
          let plan = try world.follow(expired: gone)
          plans += 1
          if plan.kinds.count(where: { $0 == "table" }) > world.desired.pools.count { moves += 1 }
        }
      } catch {
        Issue.record("seed \(seed &+ number): \(error)")
        return
      }
    }
    print("\(plans) plans, \(moves) of them moved other tables")
  }

  // MARK: Counters

  @Test("Counters of all services of a pool widen where only those of one fit beside the others")
  func widenAll() throws {
    var world = PlannerWorld(
      backends: 16,
      limits: NodeSettings.Limits(services: 16, pools: 8, backends: 64, slots: 1004, pairs: 4 * 32 + 16))
    world.desired.services = (1...4).map { PlannerWorld.service($0) }
    try world.follow()
    world.desired.pools[0].backends.append(PlannerWorld.backend(17))
    let plan = try world.follow()
    #expect(world.installed.services.values.allSatisfy { $0.pairCount == 32 })
    #expect(plan.kinds.count { $0 == "wait" } > 1)
  }

  @Test("Counters of a service that goes are used for one that comes with the same plan")
  func replace() throws {
    var world = PlannerWorld(
      backends: 2, limits: NodeSettings.Limits(services: 16, pools: 8, backends: 64, slots: 1004, pairs: 16))
    try world.follow()
    world.desired.services = [PlannerWorld.service(2)]
    #expect(try world.follow().kinds == ["remove", "wait", "reset", "add", "wait"])
  }

  @Test("Counters move together for a service that needs more of them")
  func gather() throws {
    var world = PlannerWorld(
      backends: 2, limits: NodeSettings.Limits(services: 16, pools: 8, backends: 64, slots: 1004, pairs: 64))
    world.desired.services = (1...4).map { PlannerWorld.service($0) }
    try world.follow()
    world.desired.services = [2, 4].map { PlannerWorld.service($0) }
    try world.follow()
    world.desired.pools.append(PlannerWorld.pool("large", 17))
    world.desired.services.append(PlannerWorld.service(5, pool: "large"))
    let plan = try world.follow()
    #expect(plan.kinds.contains("change"), "\(plan.kinds)")
    #expect(world.installed.services.values.map(\.pairCount).sorted() == [16, 16, 32])
  }

  @Test("What older flows of services that moved still use is named in the refusal")
  func passing() throws {
    var world = PlannerWorld(
      backends: 2, limits: NodeSettings.Limits(services: 16, pools: 8, backends: 64, slots: 1004, pairs: 32))
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    try world.follow()
    world.desired.services[0].pool = "other"
    try world.follow()
    world.desired.services.append(PlannerWorld.service(2))
    let error = #expect(throws: PlanError.self) { try world.follow() }
    #expect(error == .limitExceeded(what: "pairs", limit: 32, needed: 48, passing: 16))
    #expect(
      error?.description
        == "limits.pairs is 32, but the change needs 48 (16 of them are for older flows of services that changed "
        + "their pool, and become free when these have settled): raise it in the configuration and restart")
  }
}
