// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Planner, tables without history and pools that await first verdicts")
struct PlannerAwaitedTests {
  private func slots(_ world: PlannerWorld, _ pool: String = "web") -> [Slot] {
    world.installed.pools[pool]?.slots ?? []
  }

  private func setInUse(_ world: inout PlannerWorld, _ pool: Int, _ names: Set<String>) {
    for index in world.desired.pools[pool].backends.indices {
      let name = world.desired.pools[pool].backends[index].name
      world.desired.pools[pool].backends[index].isInUse = names.contains(name)
    }
  }

  @Test("A table that no service asks has no history, however many backends come up one after the other")
  func noHistory() throws {
    var world = PlannerWorld(backends: 3)
    world.desired.awaited = ["web"]
    for names in [[], ["b1"], ["b1", "b3"], ["b1", "b2", "b3"]] as [Set<String>] {
      setInUse(&world, 0, names)
      try world.follow()
      #expect(world.installed.services.isEmpty)
    }
    world.desired.awaited = []
    try world.follow()
    #expect(world.installed.services.count == 1)
    #expect(slots(world).allSatisfy { $0.state == .stable && $0.current != 0 })
    var other = PlannerWorld(backends: 3)
    try other.follow()
    #expect(slots(world).map(\.current) == slots(other).map(\.current))
  }

  @Test("A draining backend's share is rebuilt once the others have their verdicts")
  func draining() throws {
    var world = PlannerWorld(backends: 3)
    world.set("b3") { $0.state = .drain }
    world.desired.awaited = ["web"]
    setInUse(&world, 0, [])
    try world.follow()
    try world.follow()
    setInUse(&world, 0, ["b1", "b2"])
    world.desired.awaited = []
    try world.follow()
    var other = PlannerWorld(backends: 3)
    other.set("b3") { $0.state = .drain }
    try other.follow()
    #expect(slots(world).map(\.previous) == slots(other).map(\.previous))
    #expect(slots(world).map(\.state) == slots(other).map(\.state))
  }

  @Test("A slot that had no owner remembers none: flows that begin are written, and no other goes elsewhere")
  func noOwner() throws {
    var world = PlannerWorld(backends: 3)
    setInUse(&world, 0, [])
    try world.follow()
    for names in [["b2"], ["b1", "b2"], ["b1", "b2", "b3"]] as [Set<String>] {
      setInUse(&world, 0, names)
      try world.follow()
      #expect(slots(world).allSatisfy { $0.state == .changed && $0.previous == 0 && $0.current != 0 })
    }
  }

  @Test(
    "What settled while no service asked the table stays settled where a service comes and a backend drains at once"
  )
  func settledWithoutService() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world.set("b3") { $0.weight = 0 }
    try world.follow()
    #expect(slots(world).contains { $0.state == .changed })
    let services = world.desired.services
    world.desired.services = []
    try world.follow()
    world.time += 10_000
    world.desired.services = services
    world.set("b3") { $0.state = .drain }
    try world.follow()
    #expect(world.installed.services.count == 1)
    #expect(!slots(world).contains { $0.state == .changed })
  }

  @Test("A service stays with its pool, which is gone from the file, until the new one has its verdicts")
  func makeBeforeBreak() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let before = try #require(world.installed.services.values.first)
    world.desired.pools = [PlannerWorld.pool("other", 3)]
    for index in 0...2 { world.desired.pools[0].backends[index].address = .v4(10, 1, 0, UInt8(index)) }
    world.desired.services = [PlannerWorld.service(1, pool: "other"), PlannerWorld.service(2, pool: "other")]
    world.desired.awaited = ["other"]
    setInUse(&world, 0, [])
    let plan = try world.follow()
    #expect(plan.effect.awaited.count == 2 && plan.effect.servicesChanged.isEmpty)
    #expect(
      plan.effect.awaited.first?.hasPrefix("service www 192.0.2.1:443/tcp stays with pool web until") == true)
    #expect(world.installed.services.values.map(\.self) == [before])
    #expect(world.installed.backends(of: "web").allSatisfy { !$0.isLeaving && !$0.isDraining && $0.isUsable })
    #expect(slots(world).allSatisfy { $0.state == .stable })

    setInUse(&world, 0, ["b1", "b2", "b3"])
    world.desired.awaited = []
    let last = try world.follow()
    #expect(last.effect.servicesChanged == ["www 192.0.2.1:443/tcp -> other"])
    #expect(last.effect.servicesAdded == ["www 192.0.2.2:443/tcp -> other"])
    #expect(world.installed.services.values.compactMap(\.move?.pool) == ["web"])
    #expect(slots(world, "other").allSatisfy { $0.state == .stable && $0.current != 0 })
    #expect(world.installed.backends(of: "web").allSatisfy { $0.isLeaving })
  }

  @Test("All backends of a pool are replaced: its table stays until the new ones have their verdicts")
  func replacedBackends() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let table = slots(world)
    for index in 0...1 { world.desired.pools[0].backends[index].address = .v4(10, 1, 0, UInt8(index)) }
    world.desired.awaited = ["web"]
    setInUse(&world, 0, [])
    let plan = try world.follow()
    #expect(plan.kinds == ["write", "reset", "write", "reset"])
    #expect(slots(world) == table)
    #expect(plan.effect.awaited.first?.hasPrefix("pool web keeps its backends until") == true)
    setInUse(&world, 0, ["b1", "b2"])
    world.desired.awaited = []
    try world.follow()
    #expect(slots(world).allSatisfy { $0.state == .changed && $0.previous <= 2 && $0.current > 2 })
  }

  @Test("A backend that is leaving is as usable as its checks say, and is released either way")
  func leaving() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try #require(world.installed.backend(named: "b3", in: "web")).number
    world.desired.pools[0].backends.removeLast()
    try world.follow()
    #expect(world.installed.backends[number]?.isUsable == true)
    world.desired.unusableLeaving = [number]
    #expect(try world.follow().kinds == ["unusable"])
    #expect(world.installed.backends[number]?.isUsable == false)
    world.desired.unusableLeaving = []
    #expect(try world.follow().kinds == ["usable"])
    world.desired.unusableLeaving = [number]
    try world.follow()
    try world.follow(expired: [number])
    #expect(world.installed.backends[number] == nil)
  }

  /// A service of the pool `web`, which is gone from the file, waits for the verdicts of the pool `other`.
  private func waiting() throws -> PlannerWorld {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    world.wait(for: "other")
    try world.follow()
    return world
  }

  @Test("A pool that is gone and keeps services lets go of a backend that is removed with force")
  func forced() throws {
    var world = try waiting()
    try world.follow(expired: [1])
    #expect(world.installed.backends[1] == nil)
    #expect(slots(world).allSatisfy { $0.current != 1 && $0.previous != 1 })
    #expect(slots(world).contains { $0.current == 2 })
  }

  @Test(
    "A pool that keeps services gives no new flows to a backend that is found down, whatever it was marked")
  func leavingAndDown() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let first = world.desired
    world.wait(for: "other")
    world.desired.awaited = []
    try world.follow()
    #expect(world.installed.backends[1]?.isLeaving == true)
    // The daemon dies when the service is back, and does not write that its backends leave no more.
    world.desired = first
    try world.follow(dyingAfter: .max)
    #expect(world.installed.backends[1]?.isLeaving == true)
    world.wait(for: "other")
    world.desired.unusableLeaving = [1]
    try world.follow()
    #expect(world.installed.backends[1]?.isUsable == false)
    #expect(slots(world).allSatisfy { $0.current != 1 })
  }
}

extension PlannerWorld {
  /// The service is to have another pool, without verdicts, and its own is gone from the file.
  fileprivate mutating func wait(for pool: String) {
    desired.pools = [Self.pool(pool, 3)]
    for index in 0...2 { desired.pools[0].backends[index].address = .v4(10, 1, 0, UInt8(index)) }
    desired.services = [Self.service(1, pool: pool)]
    desired.awaited = [pool]
  }
}
