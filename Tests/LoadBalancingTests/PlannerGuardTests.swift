// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LoadBalancing

@Suite("Planner, what it refuses and tells")
struct PlannerGuardTests {
  private func plan(
    _ world: PlannerWorld, census: FlowCensus? = nil, allowsLostFlows: Bool = false,
    expired: Set<BackendNumber> = []
  ) throws(PlanError) -> Plan {
    try Planner.plan(
      from: world.installed, to: world.desired, limits: world.limits, now: Tick(world.time + 1),
      expired: expired, census: census, allowsLostFlows: allowsLostFlows)
  }

  @Test("Another table size or hash of a pool in use is refused with what it costs; allowed, it is planned")
  func slotSelection() throws {
    var world = PlannerWorld(backends: 3)
    world.desired.pools.append(PlannerWorld.pool("idle", 1))
    try world.follow()
    world.desired.pools[0].tableSize = 241
    world.desired.pools[0].hash = .source
    world.desired.pools[1].hash = .source
    var census = FlowCensus()
    census.live = [
      try world.number("b1"): 7, try world.number("b2"): 5, 99: 1000,
    ]

    let change = SlotSelectionChange(
      pool: "web", settings: ["hash flow -> source", "table_size 251 -> 241"], services: 1, slots: 251,
      flows: 12)
    #expect(throws: PlanError.losesFlows([change])) { try plan(world, census: census) }
    #expect(
      PlanError.losesFlows([change]).description
        == "pool web: hash flow -> source, table_size 251 -> 241 gives flows of 1 virtual services other slots, "
        + "which remember nothing of them: connections break in all 251 slots; 12 live flows are in the flow "
        + "table; to do it nevertheless: --force")
    let allowed = try plan(world, census: census, allowsLostFlows: true)
    #expect(allowed.effect.warnings.count == 2)
    #expect(allowed.effect.flowsConcerned == 12)
    #expect(allowed.effect.flowsLost == 12)
  }

  @Test("A pool that no service asks, or that its services leave with the plan, is free to change")
  func unusedPool() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    world.desired.pools[0].tableSize = 241
    #expect(throws: PlanError.self) { try plan(world) }
    world.desired.services = []
    #expect(throws: Never.self) { try plan(world) }
  }

  @Test("A pool that a service moved away from is in use until the move is over")
  func rememberedPool() throws {
    var world = PlannerWorld(backends: 2)
    world.desired.pools.append(PlannerWorld.pool("other", 2))
    try world.follow()
    world.desired.services[0].pool = "other"
    try world.follow()
    world.desired.pools[0].hash = .source
    #expect(throws: PlanError.self) { try plan(world) }
  }

  @Test("Tables that together need more than what is free are published in rounds")
  func rounds() throws {
    var world = PlannerWorld(backends: 3)
    world.limits.slots = 4 * 251
    world.desired.pools += ["x", "y"].map { PlannerWorld.pool($0, 3) }
    world.desired.services += [PlannerWorld.service(2, pool: "x"), PlannerWorld.service(3, pool: "y")]
    try world.follow()
    for pool in world.desired.pools.indices { world.desired.pools[pool].backends[0].weight = 1 }
    let plan = try world.follow()
    #expect(plan.kinds == ["table", "wait", "table", "wait", "table", "wait"])
    #expect(try world.follow().isEmpty)

    var narrow = PlannerWorld(backends: 3)
    narrow.limits.slots = 2 * 251 - 1
    try narrow.follow()
    narrow.set("b2") { $0.weight = 1 }
    #expect(throws: PlanError.limitExceeded(what: "slots", limit: 501, needed: 502)) { try self.plan(narrow) }
  }

  @Test("Told: backends that get their first slots or lose their last, and the services above them")
  func effect() throws {
    var world = PlannerWorld(backends: 3)
    world.desired.pools.append(PlannerWorld.pool("other", 1))
    world.desired.services.append(PlannerWorld.service(2, pool: "other"))
    let first = try world.follow()
    #expect(first.effect.pools[1].backendsFilled == ["b1", "b2", "b3"])
    #expect(first.effect.servicesTouched.isEmpty, "those that are added are told as added")

    world.set("b1") { $0.state = .drain }
    world.desired.pools[0].backends.append(PlannerWorld.backend(4))
    let second = try world.follow()
    #expect(second.effect.pools.map(\.pool) == ["web"])
    #expect(second.effect.pools[0].backendsEmptied == ["b1"])
    #expect(second.effect.pools[0].backendsFilled == ["b4"])
    #expect(second.effect.servicesTouched == ["www 192.0.2.1:443/tcp"])
    #expect(second.effect.flowsConcerned == nil && second.effect.flowsLost == nil, "nobody counted")
  }

  @Test(
    "Flows concerned: of backends that lose slots; lost: of those that go out of use, whatever slots they have"
  )
  func flows() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    var census = FlowCensus()
    census.live = [try world.number("b1"): 1, try world.number("b2"): 10, try world.number("b3"): 100]

    world.set("b1") { $0.state = .drain }
    let drain = try plan(world, census: census).effect
    #expect(drain.flowsLost == 0)
    // Little moves between the others, but it does.
    #expect([1, 11, 101, 111].contains(drain.flowsConcerned))
    try world.follow()

    world.set("b1") { $0.state = .maint }
    let maint = try plan(world, census: census).effect
    #expect(maint.pools.isEmpty)
    #expect(maint.flowsConcerned == 1 && maint.flowsLost == 1)
    #expect(maint.servicesTouched == ["www 192.0.2.1:443/tcp"])
  }

  @Test(
    "A backend that goes out of use has stable slots, whose flows break uncounted; one that drains has not")
  func cutOff() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    try world.settle()
    let number = try world.number("b1")
    let slots = try world.slots().count { $0.current == number }
    let cutOff = Effect.CutOff(
      pool: "web", backend: "b1", number: number, uncountedSlots: slots, slotsTotal: PlannerWorld.slots)

    var maint = world
    maint.set("b1") { $0.state = .maint }
    #expect(try plan(maint, census: nil).effect.backendsCutOff == [cutOff])
    var drain = world
    drain.set("b1") { $0.state = .drain }
    #expect(try plan(drain, census: nil).effect.backendsCutOff == [])
    // Taken out and released in one plan, as `remove --force` foretells it.
    var removed = world
    removed.remove("b1")
    #expect(try plan(removed, census: nil, expired: [number]).effect.backendsCutOff == [cutOff])
    // Where every flow is tracked, every flow is counted.
    var tracked = world
    tracked.desired.services[0].affinity.mode = .all
    try tracked.follow()
    tracked.set("b1") { $0.state = .maint }
    #expect(try plan(tracked, census: nil).effect.backendsCutOff == [])
  }
}
