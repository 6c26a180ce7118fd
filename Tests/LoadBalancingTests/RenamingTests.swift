// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Pools that get another name")
struct RenamingTests {
  private func renamed(_ world: PlannerWorld) -> PlannerWorld {
    var world = world
    world.desired.pools[0].name = "www"
    world.desired.services[0].pool = "www"
    return world
  }

  @Test("Table, memory, backends and counters stay; the names alone are written")
  func stays() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world.set("b2") { $0.state = .drain }
    try world.follow()
    let before = world.installed
    world = renamed(world)
    #expect(before.renames(to: world.desired) == ["web": "www"])
    let plan = try world.follow()
    #expect(plan.kinds == ["rename", "rename", "rename", "rename pool"])
    #expect(plan.effect.poolsRenamed == ["web -> www"])
    #expect(plan.effect.servicesChanged.isEmpty && plan.effect.backendsAdded.isEmpty)
    #expect(world.installed.pools["www"]?.slots == before.pools["web"]?.slots)
    let service = try #require(world.installed.services.values.first)
    #expect(service.move == nil && service.pairs == before.services.values.first?.pairs)
    #expect(world.installed.backends.mapValues(\.pair) == before.backends.mapValues(\.pair))
  }

  @Test("What else changes in the same reload is planned as ever, with its memory")
  func withChanges() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world = renamed(world)
    world.desired.pools[0].backends.removeLast()
    world.desired.pools[0].backends.append(PlannerWorld.backend(9))
    try world.follow()
    let changed = try #require(world.installed.pools["www"]).slots.filter { $0.state == .changed }
    #expect(!changed.isEmpty && changed.allSatisfy { $0.previous != 0 })
    #expect(world.installed.services.values.allSatisfy { $0.move == nil })
  }

  @Test(
    "No other name: the pool stays, services go apart, the table has another size, few backends are the same")
  func others() throws {
    var world = PlannerWorld(backends: 3)
    world.desired.services.append(PlannerWorld.service(2))
    try world.follow()
    var both = renamed(world).desired
    both.pools.append(PlannerWorld.pool("web", 1))
    var apart = renamed(world).desired
    apart.pools.append(PlannerWorld.pool("second", 3))
    apart.services[1].pool = "second"
    var larger = renamed(world).desired
    larger.services[1].pool = "www"
    #expect(world.installed.renames(to: larger) == ["web": "www"])
    larger.pools[0].tableSize = 509
    var foreign = larger
    foreign.pools[0] = PlannerWorld.pool("www", 7)
    for desired in [both, apart, larger, foreign] { #expect(world.installed.renames(to: desired).isEmpty) }
  }

  @Test("A death amid the renaming: the next start goes on, or back", arguments: 0...4)
  func death(steps: Int) throws {
    for goesBack in [false, true] {
      var world = PlannerWorld(backends: 3)
      try world.follow()
      let old = world.desired
      let slots = try #require(world.installed.pools["web"]).slots
      world = renamed(world)
      try world.follow(dyingAfter: steps)
      if goesBack { world.desired = old }
      try world.follow()
      let name = goesBack ? "web" : "www"
      #expect(world.installed.pools.keys.map(\.self) == [name])
      #expect(world.installed.pools[name]?.slots == slots)
      #expect(world.installed.backends.values.allSatisfy { $0.pool == name && !$0.isLeaving })
    }
  }

  @Test("A death amid the renaming: slots of a backend that drains do not settle", arguments: 0...4)
  func deathAmidDrain(steps: Int) throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world.set("b2") { $0.state = .drain }
    try world.follow()
    let share = try world.slots().filter { $0.previous == 2 }
    world = renamed(world)
    try world.follow(dyingAfter: steps)
    try world.settle()
    #expect(!share.isEmpty && share.allSatisfy { $0.state == .changed })
    #expect(world.installed.pools.values.flatMap(\.slots).filter { $0.previous == 2 } == share)
  }

  @Test("Overrides follow the pool")
  func overrides() {
    let provenance = Provenance(by: "root", at: 0)
    let overrides = ["web", "api"].map {
      BackendOverride(pool: $0, backend: "b1", state: .drain, provenance: provenance)
    }
    #expect(overrides.following(["web": "www"]).map(\.pool) == ["www", "api"])
  }
}
