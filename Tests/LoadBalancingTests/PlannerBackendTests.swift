// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LoadBalancing

@Suite("Planner, backends")
struct PlannerBackendTests {
  @Test("A fresh start: records, then the table, then the service; every slot stable")
  func fresh() throws {
    var world = PlannerWorld(backends: 2)
    let plan = try world.follow()
    #expect(plan.kinds == ["write", "write", "table", "reset", "add", "wait"])
    #expect(Set(world.installed.backends.keys) == [1, 2])
    #expect(try world.slots().allSatisfy { $0.state == .stable && $0.current != 0 })
    #expect(plan.effect.servicesAdded == ["www 192.0.2.1:443/tcp -> web"])
    #expect(plan.effect.backendsAdded == ["web/b1", "web/b2"])
    #expect(
      plan.effect.pools
        == [.init(pool: "web", slotsMoved: 251, slotsTotal: 251, backendsFilled: ["b1", "b2"])])
    #expect(try world.follow().isEmpty)
  }

  @Test("A backend joins: its record comes first, its slots remember whom they were taken from")
  func join() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let before = try world.slots()
    world.desired.pools[0].backends.append(PlannerWorld.backend(4))
    let plan = try world.follow()
    #expect(plan.kinds == ["write", "reset", "table", "wait"])
    for (old, new) in zip(before, try world.slots()) {
      if old.current == new.current {
        #expect(new == old)
      } else {
        #expect(
          new == Slot(current: new.current, previous: old.current, state: .changed, since: Tick(world.time)))
      }
    }
    #expect(
      world.installed.slotCounts(of: "web")[try world.number("b4")].map { (62...63).contains($0) } == true)
  }

  @Test("Drain: out of the table, usable; back again: the slots' first owner is kept")
  func drain() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try world.number("b2")
    let before = try world.slots()
    world.set("b2") { $0.state = .drain }
    let plan = try world.follow()
    #expect(plan.kinds == ["table", "draining", "wait"])
    #expect(world.installed.backends[number]?.isUsable == true)
    let drained = try world.slots()
    #expect(drained.allSatisfy { $0.current != number })
    for (old, new) in zip(before, drained) where old.current == number { #expect(new.previous == number) }

    world.set("b2") { $0.state = .ready }
    try world.follow()
    for (old, new) in zip(before, try world.slots()) {
      #expect(new.current == old.current)
      if new.state == .changed { #expect(new.previous == old.current && new.since == Tick(1002)) }
    }
  }

  @Test("Maint: out of the table first, then unusable; back: usable first, then in the table")
  func maint() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try world.number("b2")
    world.set("b2") { $0.state = .maint }
    #expect(try world.follow().kinds == ["table", "unusable", "wait"])
    #expect(world.installed.backends[number]?.isUsable == false)
    world.set("b2") { $0.state = .ready }
    #expect(try world.follow().kinds == ["usable", "table", "wait"])
    #expect(try world.number("b2") == number)
  }

  @Test("From drain to maint the table stays, and the backend is out at once")
  func drainToMaint() throws {
    var world = PlannerWorld(backends: 3)
    world.set("b2") { $0.state = .drain }
    try world.follow()
    world.set("b2") { $0.state = .maint }
    #expect(try world.follow().kinds == ["unusable", "not draining"])
  }

  @Test("A weight moves slots and nothing else; weight 0 takes no new flows and stays usable")
  func weight() throws {
    var world = PlannerWorld(backends: 4)
    try world.follow()
    let number = try world.number("b1")
    world.set("b1") { $0.weight = 50 }
    #expect(try world.follow().kinds == ["table", "wait"])
    #expect([35, 36].contains(world.installed.slotCounts(of: "web")[number]))
    world.set("b1") { $0.weight = 0 }
    try world.follow()
    #expect(world.installed.slotCounts(of: "web")[number] == nil)
    #expect(world.installed.backends[number]?.isUsable == true)
  }

  @Test("A backend gone from the configuration leaves, usable; when it returns it is the same one")
  func leaveAndReturn() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try world.number("b3")
    world.remove("b3")
    let plan = try world.follow()
    #expect(plan.kinds == ["table", "draining", "wait"])
    #expect(plan.effect.backendsRemoved == ["web/b3"])
    #expect(world.installed.backends[number]?.isLeaving == true)
    #expect(world.installed.backends[number]?.isUsable == true)
    #expect(try world.follow().isEmpty)

    world.desired.pools[0].backends.append(PlannerWorld.backend(3))
    let back = try world.follow()
    #expect(back.kinds == ["table", "not draining", "wait"])
    #expect(back.effect.backendsAdded == ["web/b3"])
    #expect(try world.number("b3") == number)
  }

  @Test(
    "A leaving backend whose time is over: unusable, unnamed, readers waited for, then its number is free")
  func expired() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try world.number("b3")
    world.remove("b3")
    try world.follow()
    #expect(try world.slots().contains { $0.previous == number })
    let plan = try world.follow(expired: [number])
    #expect(plan.kinds == ["table", "unusable", "not draining", "wait", "release"])
    #expect(plan.effect.pools == [.init(pool: "web", slotsMoved: 0, slotsTotal: 251)])
    #expect(world.installed.backends[number] == nil)
    #expect(try world.slots().allSatisfy { $0.current != number && $0.previous != number })

    // The number comes back as another backend, to which no slot sends what was the old one's.
    world.desired.pools[0].backends.append(PlannerWorld.backend(9))
    try world.follow()
    #expect(try world.number("b9") == number)
    #expect(try world.slots().allSatisfy { $0.previous != number })
  }

  @Test("A backend removed by force goes within one plan")
  func force() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let number = try world.number("b3")
    world.remove("b3")
    #expect(try world.follow(expired: [number]).kinds == ["table", "unusable", "wait", "release"])
    #expect(world.installed.backends[number] == nil)
  }

  @Test(
    "Time over means nothing to a backend that is desired under the same number no more: it gets a new one")
  func expiredButDesired() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    let number = try world.number("b2")
    try world.follow(expired: [number])
    #expect(try world.number("b2") != number)
    #expect(world.installed.backends[number] == nil)
  }

  @Test(
    "Another name, address or encapsulation is another backend; the old one leaves",
    arguments: ["name", "address", "outer source", "encapsulation", "variant", "port"])
  func identity(changed: String) throws {
    var world = PlannerWorld(backends: 3)
    world.desired.pools[0].encapsulation = Encapsulation(kind: .gue)
    try world.follow()
    let old = try world.number("b2")
    switch changed {
    case "name": world.set("b2") { $0.name = "new" }
    case "address": world.set("b2") { $0.address = .v4(10, 0, 1, 1) }
    case "encapsulation": world.desired.pools[0].encapsulation = Encapsulation(kind: .fou)
    case "variant": world.desired.pools[0].encapsulation = Encapsulation(kind: .gue, variant: .header)
    case "port": world.desired.pools[0].encapsulation = Encapsulation(kind: .gue, port: 7000)
    default: world.desired.pools[0].encapsulation.source4 = IPPrefix("10.9.0.0/16")
    }
    let plan = try world.follow()
    let new = try world.number(changed == "name" ? "new" : "b2")
    #expect(new != old)
    #expect(world.installed.backends[old]?.isLeaving == true)
    #expect(try world.slots().allSatisfy { $0.current != old })
    #expect(plan.steps.first { if case .writeBackend = $0 { true } else { false } } != nil)
  }

  @Test("A source for the other family does not concern a backend")
  func otherFamily() throws {
    var world = PlannerWorld(backends: 2)
    try world.follow()
    world.desired.pools[0].encapsulation.source6 = IPPrefix("2001:db8::/64")
    #expect(try world.follow().isEmpty)
  }

  @Test(
    "The last backend goes: the table is empty, never stale",
    arguments: ["removed", "drain", "maint", "weight"])
  func last(how: String) throws {
    var world = PlannerWorld(backends: 1)
    try world.follow()
    let number = try world.number("b1")
    switch how {
    case "removed": world.remove("b1")
    case "drain": world.set("b1") { $0.state = .drain }
    case "maint": world.set("b1") { $0.state = .maint }
    default: world.set("b1") { $0.weight = 0 }
    }
    let plan = try world.follow()
    #expect(plan.kinds.contains("table"))
    let expected = Slot(current: 0, previous: number, state: .changed, since: Tick(world.time))
    #expect(try world.slots() == [Slot](repeating: expected, count: PlannerWorld.slots))
    #expect(world.installed.backends[number]?.isUsable == (how != "maint"))
  }

  @Test("All in maint: the table is empty")
  func allInMaint() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    for name in ["b1", "b2", "b3"] { world.set(name) { $0.state = .maint } }
    try world.follow()
    #expect(try world.slots().allSatisfy { $0.current == 0 })
    #expect(world.installed.backends.values.allSatisfy { !$0.isUsable })
  }

  @Test("A pool without backends has a table")
  func empty() throws {
    var world = PlannerWorld(backends: 0)
    try world.follow()
    #expect(try world.slots() == [Slot](repeating: Slot(current: 0), count: PlannerWorld.slots))
  }

  @Test("Cold start with one draining: its share remembers it, the rest is stable")
  func coldDrain() throws {
    var world = PlannerWorld(backends: 4)
    try world.follow()
    let before = try world.slots()

    var cold = PlannerWorld(backends: 4)
    cold.set("b3") { $0.state = .drain }
    try cold.follow()
    let number = try cold.number("b3")
    for (old, new) in zip(before, try cold.slots()) {
      if new.current == old.current {
        #expect(new == Slot(current: old.current))
      } else {
        #expect(
          new == Slot(current: new.current, previous: old.current, state: .changed, since: Tick(cold.time)))
      }
    }
    #expect(try cold.slots().count { $0.previous == number } == before.count { $0.current == number })
  }

  @Test("Cold start with draining backends only: none is current, all are remembered")
  func coldDrainOnly() throws {
    var world = PlannerWorld(backends: 2)
    for name in ["b1", "b2"] { world.set(name) { $0.state = .drain } }
    try world.follow()
    #expect(try world.slots().allSatisfy { $0.current == 0 && $0.state == .changed })
    #expect(Set(try world.slots().map(\.previous)) == [1, 2])
  }

  @Test("Cold start: what is in maint or without weight has no share to be remembered")
  func coldMaint() throws {
    var world = PlannerWorld(backends: 4)
    world.set("b1") { $0.state = .drain }
    world.set("b2") { $0.state = .maint }
    world.set("b3") {
      $0.state = .drain
      $0.weight = 0
    }
    try world.follow()
    #expect(Set(try world.slots().map(\.previous)) == [0, try world.number("b1")])
  }

  @Test(
    "Changed twice before it settles: the last stable owner and the first time stay; once settled they do not"
  )
  func twice() throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    let stable = try world.slots().map(\.current)
    world.set("b1") { $0.weight = 0 }
    try world.follow()
    let first = Tick(world.time)
    world.set("b2") { $0.weight = 0 }
    try world.follow()
    for (owner, slot) in zip(stable, try world.slots()) where owner == 1 {
      #expect(slot == Slot(current: 3, previous: 1, state: .changed, since: first))
    }
    try world.settle()
    world.set("b1") { $0.weight = 100 }
    try world.follow()
    #expect(try world.slots().allSatisfy { $0.state == .stable || $0.previous == 3 })
  }

  @Test("Another table size or hash: a table without memory, and a warning", arguments: ["size", "hash"])
  func anotherSelection(what: String) throws {
    var world = PlannerWorld(backends: 3)
    try world.follow()
    world.set("b1") { $0.weight = 10 }
    try world.follow()
    if what == "size" {
      world.desired.pools[0].tableSize = 241
    } else {
      world.desired.pools[0].hash = .source
    }
    world.allowsLostFlows = true
    let plan = try world.follow()
    #expect(plan.effect.warnings.count == 1)
    #expect(try world.slots().allSatisfy { $0.state == .stable })
    #expect(try world.follow().isEmpty)
  }
}
