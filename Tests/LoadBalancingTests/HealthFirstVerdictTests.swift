// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("First verdicts, and what a board knows by another name")
struct HealthFirstVerdictTests {
  static let check = HealthCheck(
    kind: .tcp, interval: .seconds(2), timeout: .seconds(1), rise: 2, fall: 3, jitter: 0,
    damping: Damping(hold: .zero))
  static let limit = Duration.seconds(7)

  private func pool(_ backends: Int, _ name: String = "web") -> Pool { .checked(name, backends, Self.check) }

  /// Each decision in short: when, whether the pool is awaited, who is in use.
  private func told(_ world: HealthWorld) -> [(at: Duration, isAwaited: Bool, inUse: [String])] {
    world.decisions.map { at, decision, pool, _ in
      (at, decision.awaited.contains(pool.name), decision.isInUse.filter(\.value).map(\.key.backend).sorted())
    }
  }

  @Test(
    "A new pool is decided once, when the last of its backends has its first verdict, and nothing is alarmed before"
  )
  func once() throws {
    var world = HealthWorld(pool(9), known: [:])
    #expect(world.health == nil)
    world.run(until: .seconds(10))
    let told = told(world)
    try #require(told.count == 2)
    #expect(told[0].isAwaited && told[0].inUse.isEmpty)
    #expect(!told[1].isAwaited && told[1].inUse.count == 9)
    #expect(told[1].at < .seconds(4.1))
    #expect(world.health?.isSufficient == true)
  }

  @Test("A dead backend is waited for until it has failed as often as it may, or the limit is over")
  func dead() throws {
    var world = HealthWorld(pool(3), known: [:])
    world.failing = ["b2"]
    world.failureTakes = .seconds(1)
    world.run(until: .seconds(20))
    let told = told(world)
    try #require(told.count == 2)
    #expect(told[1].inUse == ["b1", "b3"])
    #expect(told[1].at > .seconds(4) && told[1].at <= Self.limit)
  }

  @Test("What says nothing of a backend gives no verdict: the limit ends the wait")
  func silent() throws {
    var board = HealthBoard()
    let world = HealthWorld(pool(1), known: [:])
    board.configure(world.desired, at: .zero) { _, _ in nil }
    var decided = board.decide(at: .zero)
    #expect(decided?.awaited == ["web"])
    let local = ProbeOutcome(failure: ProbeOutcome.Failure(.local, "no port is free"), duration: .zero)
    for second in 1...5 {
      _ = board.add(local, of: world.target("b1"), begun: .seconds(second), at: .seconds(second))
    }
    #expect(board.nextDecision == Self.limit)
    decided = board.decide(at: Self.limit - .milliseconds(1))
    #expect(decided == nil)
    decided = board.decide(at: Self.limit)
    let decision = try #require(decided)
    #expect(decision.awaited.isEmpty)
    #expect(decision.pools["web"]?.isSufficient == false)
  }

  @Test("Nothing is awaited of what is known: installed backends, on_start up, no target, in maint")
  func known() {
    #expect(HealthWorld(pool(2), known: ["b1": true, "b2": false]).decisions.last?.1.awaited.isEmpty == true)
    #expect(HealthWorld(pool(2), known: ["b1": true]).decisions.last?.1.awaited.isEmpty == true)
    var check = Self.check
    check.start = .up
    #expect(HealthWorld(.checked("web", 2, check), known: [:]).decisions.last?.1.awaited.isEmpty == true)
    var desired = HealthWorld(pool(2), known: [:]).desired
    for index in 0...1 { desired.pools[0].backends[index].state = .maint }
    var board = HealthBoard()
    board.configure(desired, at: .zero) { _, _ in nil }
    var decided = board.decide(at: .zero)
    #expect(decided?.awaited.isEmpty == true)
  }

  @Test("A wait goes on when the configuration is read again meanwhile, and does not begin anew")
  func readAgain() throws {
    var world = HealthWorld(pool(3), known: [:])
    world.failing = ["b1", "b2", "b3"]
    world.failureTakes = .seconds(1)
    for second in [1, 3, 5] {
      world.run(until: .seconds(second))
      world.configure()
      #expect(told(world).last?.isAwaited == true)
    }
    world.run(until: Self.limit + .milliseconds(1))
    #expect(told(world).last?.isAwaited == false)
  }

  @Test("A pool that has backends of which something is known waits for none that join it")
  func joining() {
    var world = HealthWorld(pool(2))
    world.pool.backends.append(Backend(name: "b9", address: .v4(10, 0, 1, 9)))
    world.configure()
    #expect(told(world).last?.isAwaited == false)
    #expect(world.inUse == ["b1", "b2"])
  }

  @Test("A pool all of whose backends are replaced is awaited, and its verdict stands until then")
  func replaced() {
    var world = HealthWorld(pool(2))
    for index in 0...1 { world.pool.backends[index].address = .v4(10, 9, 9, UInt8(index)) }
    world.configure()
    #expect(told(world).last?.isAwaited == true)
    #expect(world.health?.isSufficient == true)
    world.run(until: .seconds(10))
    #expect(told(world).last?.isAwaited == false)
    #expect(world.inUse == ["b1", "b2"])
  }

  @Test("A pool with another name is the pool that it was: health, guard and all")
  func renamed() {
    var world = HealthWorld(pool(3))
    for second in 1...3 { world.probe("b2", passes: false, at: .seconds(second)) }
    var renamed = world.desired
    renamed.pools[0].name = "www"
    renamed.services[0].pool = "www"
    var board = world.board
    board.configure(renamed, at: .seconds(4)) { _, _ in nil }
    let decision = board.decide(at: .seconds(4))
    #expect(decision?.awaited == [])
    #expect(decision?.isInUse == [key("www", 1): true, key("www", 2): false, key("www", 3): true])
    #expect(board.state(of: key("www", 2)) == .down)
  }

  @Test("Backends of a new pool that another one has are known where the same is asked of them")
  func shared() {
    let world = HealthWorld(pool(3))
    var desired = world.desired
    desired.pools.append(pool(2, "two"))
    desired.services[0].pool = "two"
    var board = world.board
    board.configure(desired, at: .seconds(4)) { _, _ in nil }
    var decided = board.decide(at: .seconds(4))
    #expect(decided?.awaited == [])
    #expect(board.state(of: key("two", 1)) == .up)
    // Another port is another question.
    desired.pools[1].name = "three"
    desired.services[0].pool = "three"
    desired.pools[1].health.check?.port = 81
    board = world.board
    board.configure(desired, at: .seconds(4)) { _, _ in nil }
    decided = board.decide(at: .seconds(4))
    #expect(decided?.awaited == ["three"])
  }

  @Test(
    "A pool that no service used is awaited when one comes to it, for nothing was ever asked of its backends")
  func unused() throws {
    let world = HealthWorld(pool(3))
    var desired = world.desired
    var spare = pool(2, "spare")
    for index in 0...1 { spare.backends[index].address = .v4(10, 9, 9, UInt8(index + 1)) }
    desired.pools.append(spare)
    var board = world.board
    board.configure(desired, at: .seconds(1)) { _, _ in nil }
    var decided = board.decide(at: .seconds(1))
    #expect(decided?.awaited == [])
    desired.services[0].pool = "spare"
    board.configure(desired, at: .seconds(2)) { _, _ in nil }
    decided = board.decide(at: .seconds(2))
    #expect(decided?.awaited == ["spare"])
    #expect(decided?.isInUse[key("spare", 1)] == false)
    #expect(board.nextDecision == .seconds(2) + Self.limit)
  }

  private func key(_ pool: String, _ number: Int) -> BackendKey {
    BackendKey(pool: pool, backend: "b\(number)")
  }

  // MARK: Leaving

  /// A world in which `b3` of three is leaving with number 7, and its pool is gone or not.
  private func leaving(poolIsGone: Bool) -> (HealthBoard, BackendKey, HealthBoard.Target) {
    let world = HealthWorld(pool(3))
    var desired = world.desired
    let gone = desired.pools[0].backends.removeLast()
    if poolIsGone { desired = DesiredState() }
    let backends = [
      InstalledState.Backend(
        number: 7, pool: "web", name: gone.name, address: gone.address, encapsulation: Encapsulation(),
        isUsable: true, pair: 0, isLeaving: true, isDraining: true)
    ]
    let installed = InstalledState(
      backends: Dictionary(uniqueKeysWithValues: backends.map { ($0.number, $0) }))
    var board = world.board
    board.configure(desired, beside: installed.remainder(beside: desired), at: .seconds(1)) { _, _ in nil }
    let key = BackendKey(pool: "web", backend: gone.name, leaving: 7)
    return (board, key, HealthBoard.Target(backend: key, vip: HealthWorld.vip))
  }

  @Test(
    "A backend that is leaving is checked on, is out of use when it is down, and counts for nothing",
    arguments: [false, true])
  func leavingIsChecked(poolIsGone: Bool) throws {
    var (board, key, target) = leaving(poolIsGone: poolIsGone)
    let beginning = board.decide(at: .seconds(1))
    let first = try #require(beginning)
    #expect(first.isInUse[key] == true)
    #expect(first.pools.keys.sorted() == (poolIsGone ? [] : ["web"]))
    #expect(board.state(of: key) == .up)
    let failure = ProbeOutcome(failure: ProbeOutcome.Failure(.port, "refused"), duration: .zero)
    for second in 2...4 { _ = board.add(failure, of: target, begun: .seconds(second), at: .seconds(second)) }
    let decided = board.decide(at: .seconds(5))
    let decision = try #require(decided)
    #expect(decision.isInUse[key] == false)
    #expect(DesiredState().applying(decision).unusableLeaving == [7])
    if !poolIsGone {
      #expect(decision.pools["web"]?.healthy == 2 && decision.pools["web"]?.isSufficient == true)
    }
  }

  @Test("What is known of a backend goes with it when it leaves, and comes back with it")
  func leavesAndComesBack() {
    var world = HealthWorld(pool(3))
    for second in 1...2 { world.probe("b3", passes: false, at: .seconds(second)) }
    let whole = world.desired
    world.pool.backends.removeLast()
    var remainder = HealthBoard.Remainder()
    let address = whole.pools[0].backends[2].address
    remainder.leaving[7] = HealthBoard.Remainder.Leaving(
      number: 7, pool: "web", name: "b3", address: address, isUsable: true)
    let key = BackendKey(pool: "web", backend: "b3", leaving: 7)
    var board = world.board
    board.configure(world.desired, beside: remainder, at: .seconds(3)) { _, _ in nil }
    #expect(board.state(of: key) == .goingDown)
    board.configure(whole, at: .seconds(4)) { _, _ in nil }
    #expect(board.state(of: world.key("b3")) == .goingDown)
  }
}
