// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Testing

@testable import Control
@testable import Dataplane
@testable import LoadBalancing

/// Walks through the flow table and readings of counters beside plans: what stays the same counts.
@Suite struct ReadingTests {
  private static func world() -> ControlWorld {
    .running(
      ControlWorld.configuration(
        services: [ControlWorld.service(1), ControlWorld.service(2, pool: "api")],
        pools: [ControlWorld.pool("web", [1, 2, 3]), ControlWorld.pool("api", [4, 5])]))
  }

  /// A backend goes down, or comes up.
  private func flip(_ number: Int, _ world: inout ControlWorld) {
    let address = ControlWorld.backend(number).address
    if world.down.remove(address) == nil { world.down.insert(address) }
    world.handle(.healthDecided(world.decision(on: world.checked)))
  }

  private func drained(_ world: ControlWorld) -> Int {
    world.notices.count { $0.event?.new == "drained" }
  }

  private func number(_ name: String, _ world: ControlWorld) throws -> BackendNumber {
    try #require(world.kernel.backend(named: name, in: "web")).number
  }

  @Test func `backends of a removed pool drain by the settings that it had`() throws {
    var configuration = ControlWorld.configuration(
      services: [ControlWorld.service(1), ControlWorld.service(2, pool: "api")],
      pools: [ControlWorld.pool("web", [1, 2, 3]), ControlWorld.pool("api", [4, 5])])
    configuration.desired.pools[1].drain = Drain(timeout: 9000, quiet: 600)
    var world = ControlWorld.running(configuration)
    let number = try #require(world.kernel.backend(named: "b4", in: "api")).number
    world.file = ControlWorld.configuration(pools: [configuration.desired.pools[0]])
    world.request(.reload, ChangeTerms(force: true))
    world.completeAll()
    func pass(_ seconds: Int) {
      world.now = world.now.advanced(by: .seconds(seconds))
      world.handle(.tick)
      world.completeAll()
      world.handle(.tick)
      world.completeAll()
    }
    #expect(world.kernel.backends[number]?.isLeaving == true)
    pass(500)
    #expect(world.kernel.backends[number] != nil, "the defaults have a quiet time of 60 s")
    pass(101)
    #expect(world.kernel.backends[number] == nil)
    #expect(world.state.view.configuration.drain(of: "api") == Drain(), "forgotten with its last backend")
  }

  // MARK: The flow table

  @Test func `plans in quick succession starve neither slots nor drains nor repairs`() {
    var world = Self.world()
    world.request(.change(backend: "b4", pool: "api", BackendChange(weight: 10)))
    world.request(ControlWorld.drain)
    world.completeAll()
    world.now = world.now.advanced(by: .seconds(8000))
    #expect(world.kernel.pools["api"]?.slots.contains { $0.state == .changed } == true)
    var (patrols, cleared) = (0, 0)
    world.hasDeadFlows = true
    for _ in 0..<5 {
      world.now = world.now.advanced(by: .seconds(10))
      world.handle(.tick)
      for _ in 0..<4 {
        // The next plan is wanted before this one has ended.
        flip(3, &world)
        world.complete { $0.name == "takeCensus" }
        world.complete { $0.name == "apply" }
        if world.complete(where: { $0.name == "patrol" }) != nil { patrols += 1 }
        if world.complete(where: { $0.name == "clearFlows" }) != nil { cleared += 1 }
        #expect(world.pending.contains { ["apply", "patrol", "clearFlows"].contains($0.name) })
      }
    }
    #expect(world.kernel.pools["api"]?.slots.allSatisfy { $0.state == .stable } == true)
    #expect(drained(world) == 1)
    #expect(patrols >= 2 && cleared >= 1)
  }

  @Test func `a census counts for what a plan meanwhile left as it was`() {
    var world = Self.world()
    world.handle(.tick)
    world.complete { $0.name == "patrol" }
    flip(3, &world)
    world.complete { $0.name == "apply" }
    world.census.entries = 5
    world.complete { $0.name == "takeCensus" }
    #expect(world.state.view.flows.census?.found.entries == 5)
    #expect(!world.pending.contains { $0.name == "takeCensus" }, "not begun again")
  }

  @Test func `a census says nothing of a number that became another backend's`() throws {
    var world = Self.world()
    let number = try number("b1", world)
    world.handle(.tick)
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    while world.complete(where: { $0.name != "takeCensus" }) != nil {}
    world.request(ControlWorld.addition)
    while world.complete(where: { $0.name != "takeCensus" }) != nil {}
    #expect(try self.number("b9", world) == number)
    world.census.entries = 7
    world.census.live[number] = 7
    world.complete { $0.name == "takeCensus" }
    #expect(world.state.view.flows.census?.found.entries == 7)
    #expect(world.state.view.flows.census?.found.live[number] == nil)
  }

  @Test func `a published census forgets backends that are released`() throws {
    var world = Self.world()
    let number = try number("b1", world)
    world.census.live[number] = 7
    world.handle(.tick)
    world.completeAll()
    #expect(world.state.view.flows.census?.found.live[number] == 7)
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    world.completeAll()
    #expect(world.state.view.flows.census?.found.live[number] == nil)
  }

  @Test func `a drain that began during a walk is not over by that walk`() {
    var world = Self.world()
    world.handle(.tick)
    world.request(ControlWorld.drain)
    while world.complete(where: { $0.name != "takeCensus" }) != nil {}
    world.now = world.now.advanced(by: .seconds(100))
    world.complete { $0.name == "takeCensus" }
    world.completeAll()
    #expect(drained(world) == 0)
    world.handle(.tick)
    world.completeAll()
    #expect(drained(world) == 1)
  }

  @Test func `slots that a plan wrote during a walk do not settle by it`() throws {
    let pool = try #require(Self.world().kernel.pools["web"])
    var installed = InstalledState()
    installed.pools = ["web": pool, "api": pool]
    var result = installed
    result.pools["web"]?.slots[2] = Slot(current: 3, state: .settling)
    result.pools["api"]?.hash = .source
    let changes = InstalledChanges(
      by: Plan(steps: [.releaseBackend(4)], result: result, effect: Effect()), from: installed)
    #expect(changes.slots(of: pool) == [2])
    #expect(changes.pools == ["api"] && changes.backends == [4])
    #expect(InstalledChanges.unknown.slots(of: pool) == Set(0..<ControlWorld.slots))
    #expect(InstalledChanges.none.slots(of: pool) == [])
  }

  @Test func `a walk that fails is told to those who wait for it`() throws {
    var world = Self.world()
    world.request(ControlWorld.drain)
    world.completeAll()
    world.handle(.censusRequested(7))
    let actions = world.complete(failing: true) { $0.name == "takeCensus" }
    #expect(actions?.map(\.name) == ["replyCensus"])
    func trouble() throws -> String? {
      try world.state.view.drainStatus(
        of: "b1", in: "web", quiet: nil, silent: nil, FlowEvents(), at: world.now
      ).trouble
    }
    #expect(try trouble()?.contains("a fault") == true)
    world.handle(.censusRequested(8))
    world.complete { $0.name == "takeCensus" }
    #expect(try trouble() == nil)
  }

  @Test func `a leaving backend goes at its timeout although flows cannot be counted`() throws {
    var world = Self.world()
    world.request(ControlWorld.removal)
    world.completeAll()
    let leaving = world.kernel.backends.values.first { $0.isLeaving }
    let number = try #require(leaving).number
    world.now = world.now.advanced(by: .seconds(100_000))
    world.handle(.tick)
    world.complete(failing: true) { $0.name == "takeCensus" }
    world.completeAll()
    #expect(world.kernel.backends[number] == nil)
  }

  @Test func `requests for a census do not pile up while what is installed cannot be read`() {
    var world = ControlWorld.recovering()
    world.handle(.censusRequested(1))
    let actions = world.complete(failing: true) { $0.name == "recover" }
    #expect(actions?.contains { $0.name == "replyCensus" } == true)
    #expect(world.state.view.flows.trouble != nil)
    for id in 2..<100 {
      #expect(world.handle(.censusRequested(RequestID(id))).map(\.name) == ["replyCensus"])
    }
    #expect(world.state.kernel.census.waiting.isEmpty)
  }

  @Test func `entries that were removed are subtracted from the census that found them`() {
    var world = Self.world()
    world.hasDeadFlows = true
    world.census.entries = 10
    world.handle(.tick)
    while world.complete(where: { $0.name != "clearFlows" }) != nil {}
    world.now = world.now.advanced(by: .seconds(2))
    world.census.entries = 4
    world.handle(.censusRequested(1))
    world.complete { $0.name == "takeCensus" }
    world.handle(.flowsCleared(.success(8)))
    #expect(world.state.view.flows.census?.found.entries == 4)
  }

  // MARK: Counters

  private func measured(_ world: ControlWorld) -> [Set<String>?] {
    world.pending.compactMap { if case .measure(_, let request) = $0 { request.pools } else { nil } }
  }

  @Test func `a reload reads the counters of what it changes`() {
    var world = Self.world()
    world.handle(.tick)
    world.completeAll()
    world.file.desired.pools[1].backends[0].weight = 50
    world.request(.reload)
    world.complete { $0.name == "loadConfiguration" }
    #expect(measured(world) == [["api"]])
    // The others are read at the next tick, and counted once.
    world.send(100)
    world.completeAll()
    world.handle(.tick)
    world.completeAll()
    let totals = world.state.view.history.forwarded
    #expect(totals.services[ControlWorld.service(1).key]?.packets == 3 * 100)
    #expect(totals.services[ControlWorld.service(2, pool: "api").key]?.packets == 2 * 100)

    world.file.desired.services.remove(at: 0)
    world.request(.reload)
    world.complete { $0.name == "loadConfiguration" }
    #expect(measured(world) == [["web"]])
    world.completeAll()
    #expect(world.replies.compactMap { try? $0.result.get() }.count == 1)
    #expect(world.state.view.forwarding.installed.services.count == 2, "it is in use, and stays")
  }

  /// A plan reads what it ends before its first step, and that reading ends last.
  @Test func `nothing is counted twice by readings beside a plan`() throws {
    var world = Self.world()
    world.file = ControlWorld.configuration(
      services: [ControlWorld.service(1)], pools: [ControlWorld.pool("web", [1, 2, 3])])
    world.send(100)
    world.request(.reload, ChangeTerms(force: true))
    world.complete { $0.name == "loadConfiguration" }
    #expect(world.pending.contains { $0.name == "apply" })
    world.send(50)
    world.handle(.tick)
    world.complete { $0.name == "readCounters" }
    world.complete { $0.name == "apply" }
    world.handle(.tick)
    world.completeAll()
    let totals = world.state.view.history.forwarded
    #expect(totals.services[ControlWorld.service(1).key]?.packets == 3 * 150)
    for backend in world.kernel.backends(of: "web") {
      #expect(totals.backends[backend.number]?.packets == 150)
    }
  }

  @Test func `what a plan ends is counted until then`() {
    var world = Self.world()
    world.send(100)
    world.handle(.tick)
    world.completeAll()
    world.send(30)
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    world.completeAll()
    world.handle(.tick)
    world.completeAll()
    #expect(world.state.view.history.forwarded.services[ControlWorld.service(1).key]?.packets == 3 * 130)
  }

  /// The number of a backend that a plan released before it failed is another's in the next plan.
  @Test func `a backend inherits no counts of the one that had its number`() throws {
    var world = Self.world()
    let number = try number("b1", world)
    world.send(100)
    world.handle(.tick)
    world.completeAll()
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    world.request(ControlWorld.addition)
    world.complete { $0.name == "save" }
    world.complete { $0.name == "apply" }
    if case .apply(let application)? = world.pending.first(where: { $0.name == "apply" }) {
      world.kernel = application.plan.result
    }
    world.complete(failing: true) { $0.name == "apply" }
    while world.complete(where: { $0.name != "recover" }) != nil {}
    world.completeAll()
    #expect(try self.number("b9", world) == number)
    #expect(world.state.view.history.forwarded.backends[number] == nil)
  }
}
