// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Faults of the balancer itself")
struct HealthHostFaultTests {
  /// The default check, and one whose runs of failures end before every target was asked.
  static let checks = [
    HealthCheck(kind: .tcp, damping: Damping(hold: .zero)),
    HealthCheck(
      kind: .tcp, interval: .seconds(2), timeout: .milliseconds(500), fastInterval: .milliseconds(200),
      damping: Damping(hold: .zero)),
  ]

  private static func world(_ check: HealthCheck, backends: Int = 20) -> HealthWorld {
    var world = HealthWorld(.checked("web", backends, check))
    world.failureTakes = check.timeout
    world.run(until: .seconds(20))
    return world
  }

  private static func all(_ world: HealthWorld) -> Set<String> { Set(world.pool.backends.map(\.name)) }

  @Test("While no probe passes, none goes down for 10 s", arguments: checks)
  func doubt(_ check: HealthCheck) {
    var world = Self.world(check)
    world.failing = Self.all(world)
    world.run(until: .seconds(20) + .milliseconds(9_900))
    #expect(world.transitions.allSatisfy { $0.1.to == .goingDown })
    #expect(world.decisions.count == 1)
    #expect(world.board.unjudged.count { $0.record.isDoubted } > 0)
    world.run(until: .seconds(40))
    #expect(world.transitions.count { $0.1.to == .down } == 20, "the stated time is over")
    #expect(world.decisions.count == 2, "by one decision")
    #expect(world.board.unjudged.isEmpty)
    #expect(world.inUse == [])
  }

  @Test("A fault of 9 s that passes takes nothing away, whenever it ends", arguments: checks)
  func passes(_ check: HealthCheck) {
    for milliseconds in stride(from: 1_000, through: 9_000, by: 250) {
      var world = Self.world(check)
      world.failing = Self.all(world)
      world.run(until: .seconds(20) + .milliseconds(milliseconds))
      world.failing = []
      world.run(until: .seconds(45))
      #expect(world.transitions.allSatisfy { [.goingDown, .up].contains($0.1.to) }, "\(milliseconds) ms")
      #expect(world.decisions.count == 1)
    }
  }

  @Test("A backend that dies during the fault is found once others pass", arguments: checks)
  func diesMeanwhile(_ check: HealthCheck) throws {
    var world = Self.world(check)
    world.failing = Self.all(world)
    world.run(until: .seconds(28))
    world.failing = ["b7"]
    world.run(until: .seconds(45))
    let down = world.transitions.filter { $0.1.to == .down }
    #expect(down.map(\.1.backend.backend) == ["b7"])
    #expect(try #require(down.first).at <= .seconds(28) + check.interval * 2 + check.timeout * 2)
  }

  @Test("A probe that passed between two failures is a proof, whatever passes after it")
  func earlierProofCounts() {
    let check = HealthCheck(kind: .tcp, fall: 2, damping: Damping(hold: .zero))
    var world = HealthWorld(.checked("web", 4, check))
    world.probe("b1", passes: false, at: .seconds(10), taking: .milliseconds(1))
    world.probe("b2", passes: true, at: .seconds(11))
    // This one started after b1's second probe, and ended before it.
    world.probe("b3", passes: true, at: .milliseconds(12_200))
    world.probe("b1", passes: false, at: .seconds(12), taking: .milliseconds(500))
    #expect(world.state("b1") == .down)
  }

  @Test("A backend that dies alone is found as soon as without the others", arguments: checks)
  func alone(_ check: HealthCheck) throws {
    var world = Self.world(check)
    world.failing = ["b3"]
    world.run(until: .seconds(40))
    let down = try #require(world.transitions.first { $0.1.to == .down })
    #expect(down.at <= .seconds(20) + check.detection + check.timeout)
    #expect(world.brokenPromises.isEmpty)
  }

  @Test("All but one die: they go down as soon as without doubt", arguments: checks)
  func allButOne(_ check: HealthCheck) {
    var world = Self.world(check)
    world.failing = Self.all(world).subtracting(["b3"])
    world.run(until: .seconds(20) + check.detection + check.interval + check.timeout)
    #expect(world.transitions.count { $0.1.to == .down } == 19)
    #expect(world.inUse == ["b3"])
  }

  /// Probes that fail, each at so many tenths of a second.
  private static func fail(_ name: String, at tenths: [Int], in world: inout HealthWorld) {
    for tenth in tenths { world.probe(name, passes: false, at: .milliseconds(100 * tenth)) }
  }

  /// Of two backends with `keep` b1 is down, and its consequence waited for b2, which stays in doubt.
  private static func halfDoubted() -> HealthWorld {
    let check = HealthCheck(
      kind: .tcp, interval: .seconds(1), timeout: .milliseconds(500), damping: Damping(hold: .zero))
    var world = HealthWorld(.checked("web", 2, check, onInsufficient: .keep))
    fail("b1", at: [199], in: &world)
    world.probe("b2", passes: true, at: .milliseconds(19_950))
    fail("b1", at: [202], in: &world)
    fail("b2", at: [203], in: &world)
    fail("b1", at: [204], in: &world)
    fail("b2", at: [205, 207], in: &world)
    world.wait(until: .seconds(25))
    return world
  }

  @Test("With keep, those are kept that were in use before the doubt, also if some went down before the last")
  func keeps() {
    var world = Self.halfDoubted()
    #expect(world.inUse == ["b2"])
    Self.fail("b2", at: [301, 302, 303], in: &world)
    world.wait(until: .seconds(40))
    #expect([world.state("b1"), world.state("b2")] == [.down, .down])
    #expect(world.inUse == ["b1", "b2"])
  }

  @Test("With keep, those are kept that are in use when the doubt ends, though no decision follows")
  func keepsAfterDoubt() {
    var world = Self.halfDoubted()
    #expect(world.inUse == ["b2"], "decided while b2 was doubted")
    world.probe("b2", passes: true, at: .seconds(26))
    #expect(world.board.unjudged.isEmpty)
    Self.fail("b2", at: [401, 402, 403, 502], in: &world)
    world.wait(until: .seconds(60))
    #expect([world.state("b1"), world.state("b2")] == [.down, .down])
    #expect(world.inUse == ["b2"])
  }

  @Test("The 10 s begin at the end of the last probe that passes, though one that fails began before")
  func lastPass() {
    let check = HealthCheck(
      kind: .tcp, interval: .seconds(1), timeout: .seconds(2), damping: Damping(hold: .zero))
    var world = HealthWorld(.checked("web", 2, check))
    world.probe("b2", passes: true, at: .milliseconds(19_500), taking: .milliseconds(1_500))
    for second in [20, 25, 28] {
      world.probe("b1", passes: false, at: .seconds(second), taking: .milliseconds(1_900))
    }
    world.probe("b1", passes: false, at: .milliseconds(30_900))
    #expect(world.state("b1") == .goingDown)
    world.probe("b1", passes: false, at: .seconds(31))
    #expect(world.state("b1") == .down)
  }

  @Test("A probe that began before the one that passes shows nothing, though it ends later")
  func begunBefore() {
    let check = HealthCheck(
      kind: .tcp, interval: .seconds(1), timeout: .seconds(1), damping: Damping(hold: .zero))
    var world = HealthWorld(.checked("web", 2, check))
    world.probe("b1", passes: false, at: .seconds(20))
    world.probe("b1", passes: false, at: .seconds(21))
    world.probe("b2", passes: true, at: .milliseconds(22_500))
    world.probe("b1", passes: false, at: .seconds(22), taking: .milliseconds(900))
    #expect(world.state("b1") == .goingDown)
    world.probe("b1", passes: false, at: .seconds(23))
    #expect(world.state("b1") == .down)
  }

  @Test("One backend has none to compare with, and fall 1 nothing to wait for")
  func withoutDoubt() {
    var single = Self.world(Self.checks[0], backends: 1)
    single.failing = ["b1"]
    single.run(until: .seconds(28))
    #expect(single.state("b1") == .down)
    var world = Self.world(HealthCheck(kind: .tcp, fall: 1, damping: Damping(hold: .zero)))
    world.failing = Self.all(world)
    world.run(until: .seconds(24))
    #expect(world.transitions.count { $0.1.to == .down } == 20)
  }

  @Test("What cannot be checked decays to unchecked; what was down stays down")
  func frozen() throws {
    var world = Self.world(Self.checks[0], backends: 3)
    world.failing = ["b3"]
    world.run(until: .seconds(40))
    #expect(world.state("b3") == .down)
    world.unreachable = ["b1", "b3"]
    world.run(until: .seconds(49))
    #expect(world.state("b1") == .up)
    let since = try #require(world.board.record(of: world.target("b1"))?.frozenSince)
    #expect(since >= .seconds(40) && since <= .seconds(42))
    world.run(until: .seconds(55))
    #expect(["b1", "b2", "b3"].map { world.state($0) } == [.unchecked, .up, .down])
    #expect(world.inUse == ["b1", "b2"])
    // Known again: by a probe that passes, or by those that fail.
    var dies = world
    world.unreachable = []
    world.run(until: .seconds(60))
    #expect(world.state("b1") == .up)
    #expect(world.board.unjudged.isEmpty)
    dies.unreachable = []
    dies.failing = ["b1", "b3"]
    dies.run(until: .seconds(58))
    #expect(dies.state("b1") == .goingDown)
    dies.run(until: .seconds(70))
    #expect(dies.state("b1") == .down)
  }

  @Test("A short time without checks changes nothing")
  func briefly() {
    var world = Self.world(Self.checks[0], backends: 3)
    world.unreachable = ["b1", "b2", "b3"]
    world.run(until: .seconds(29))
    world.unreachable = []
    world.run(until: .seconds(40))
    #expect(world.transitions.isEmpty)
    #expect(world.decisions.count == 1)
  }
}
