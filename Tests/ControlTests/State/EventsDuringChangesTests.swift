// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Dataplane
import LoadBalancing
import Netlink
import Testing

@testable import Control

/// What happens to a change, or to a plan, when something else happens meanwhile.
@Suite struct EventsDuringChangesTests {
  // MARK: Health

  /// Probes each backend of pool `web`, and a second later asks for a decision.
  private func probe(_ world: inout ControlWorld, failing: Set<Int>) -> HealthDecision? {
    world.now = world.now.advanced(by: .seconds(2))
    for number in 1...3 {
      let failure = failing.contains(number) ? ProbeOutcome.Failure(.port, "connection refused") : nil
      _ = world.board?.add(
        ProbeOutcome(failure: failure, duration: .zero),
        of: HealthBoard.Target(backend: BackendKey(pool: "web", backend: "b\(number)")),
        begun: world.now.uptime - .seconds(1), at: world.now.uptime)
    }
    world.now = world.now.advanced(by: .seconds(1))
    return world.board?.decide(at: world.now.uptime)
  }

  /// Two of three backends, all of which are checked, go down while a change is being carried out.
  @Test func `a change reports what the checks know when it is in force, not when it was planned`() throws {
    var pool = ControlWorld.pool("web", [1, 2, 3])
    pool.require = .backends(2)
    let check = HealthCheck(
      kind: .tcp, via: .direct, port: 80, interval: .seconds(1), timeout: .seconds(1), fall: 1, start: .up)
    pool.health = HealthPolicy(check: check, guard: HealthGuard(share: 100))
    var world = ControlWorld(ControlWorld.configuration(pools: [pool]))
    world.board = HealthBoard()
    world.start()
    if let decision = probe(&world, failing: []) { world.handle(.healthDecided(decision)) }
    world.completeAll()
    world.request(.change(backend: "b1", pool: "web", BackendChange(weight: 50)))
    world.complete { $0.name == "save" }
    #expect(world.pending.contains { $0.name == "apply" })
    world.notices = []
    let decided = probe(&world, failing: [2, 3])
    let decision = try #require(decided)
    #expect(decision.pools["web"]?.isSufficient == false)
    world.handle(.healthDecided(decision))
    world.completeAll()
    #expect(world.notices.compactMap(\.event).filter { $0.type == "pool" }.map(\.new) == ["insufficient"])
    #expect(world.kernel.backend(named: "b2", in: "web")?.isUsable == false)
  }

  /// A verdict that needs a plan which cannot be made, and the verdict before it again.
  @Test func `an alarm about a plan ends when nothing is left to be planned`() {
    var world = ControlWorld.running()
    let limits = world.state.view.configuration.node.limits
    world.state.view.configuration.inForce.node.limits.slots = 1
    func isRaised() -> Bool { world.state.view.alarms.current.contains { $0.code == .notApplied } }
    world.down = [ControlWorld.backend(3).address]
    world.handle(.healthDecided(world.decision(on: world.checked)))
    #expect(isRaised())
    world.down = []
    world.handle(.healthDecided(world.decision(on: world.checked)))
    #expect(world.state.view.forwarding.isFulfilled && !isRaised())
    world.state.view.configuration.inForce.node.limits = limits
  }

  // MARK: Generations

  @Test func `a removal with force is one generation`() {
    var world = ControlWorld.running()
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    world.completeAll()
    #expect(world.kernel.backends.values.allSatisfy { $0.name != "b1" })
    #expect(world.state.view.configuration.generation == 2)
  }

  @Test func `a removal whose flows cannot be cut off says that it is in force`() throws {
    var world = ControlWorld.running()
    world.request(ControlWorld.removal, ChangeTerms(force: true))
    world.complete { $0.name == "save" }
    world.complete { $0.name == "apply" }
    world.complete(failing: true) { $0.name == "apply" }
    world.completeAll()
    guard case .failure(let error as ControlError)? = world.replies.first?.result else {
      Issue.record("\(world.replies)")
      return
    }
    #expect(error.body.message.contains("is removed"))
    #expect(world.saved.map(\.presence) == [.removed] && world.state.view.configuration.generation == 2)
    #expect(world.kernel.backends.values.contains { $0.name == "b1" && $0.isLeaving })
  }

  // MARK: The network

  @Test func `an interface that goes during a plan, and comes back as another, gets the program`() {
    var world = ControlWorld.ownPlan()
    func read(_ link: Link?) -> [String] {
      world.now = world.now.advanced(by: .seconds(6))
      world.handle(.networkChanged)
      world.pending.removeAll { $0.name == "readNetwork" }
      return world.handle(.networkRead(.success(NetworkView(link: link, probeHookIndex: nil)))).map(\.name)
    }
    _ = read(nil)
    #expect(!world.state.view.uplinks.isForwarding)
    world.complete { $0.name == "apply" }
    #expect(world.state.view.alarms.current.contains { $0.code == .interfaceMissing })
    #expect(read(Sample.link(index: 4)).contains("attach"))
    world.completeAll()
    #expect(world.state.view.uplinks.isForwarding)
    #expect(!world.state.view.alarms.current.contains { $0.code == .interfaceMissing })
  }

  // MARK: Drains

  /// Packets that could not be written are counted from the first plan of a start on.
  @Test func `a drain that a restart finds counts what could not be written since`() throws {
    var before = ControlWorld.running()
    before.request(ControlWorld.drain)
    before.completeAll()
    var world = ControlWorld()
    (world.kernel, world.saved, world.unwritten) = (before.kernel, before.saved, 40)
    world.start()
    let number = try #require(world.kernel.backend(named: "b1", in: "web")).number
    #expect(world.state.view.draining.unwritten(sinceDrainOf: number, total: 47) == 7)
  }

  // MARK: The end

  @Test func `a plan that fails while the daemon stops is taken back`() {
    var world = ControlWorld.changing(ControlWorld.drain, completing: ["save"])
    let before = world.kernel
    world.handle(.stop)
    // It failed after its last step.
    if case .apply(let application)? = world.pending.first(where: { $0.name == "apply" }) {
      world.kernel = application.plan.result
    }
    world.complete(failing: true) { $0.name == "apply" }
    world.completeAll()
    #expect(world.state.position == "stopped")
    #expect(world.kernel.backend(named: "b1", in: "web")?.isDraining == false)
    #expect(world.kernel.backends == before.backends && world.saved.isEmpty)
  }

  @Test func `a plan that fails twice does not keep the daemon from stopping`() {
    var world = ControlWorld.changing(ControlWorld.drain, completing: ["save"])
    world.handle(.stop)
    for _ in 0..<2 {
      world.complete(failing: true) { $0.name == "apply" }
      while world.complete(where: { $0.name != "apply" }) != nil {}
    }
    #expect(world.state.position == "stopped")
  }

  /// Whatever is under way, the end comes when it has its result, and everyone who waits has a reply.
  @Test func `the end comes in every situation`() {
    for situation in Situation.all {
      for failing in [false, true] {
        var world = situation.world
        world.handle(.censusRequested(70))
        let asked = world.lastID
        world.handle(.stop)
        for _ in 0..<20 { world.complete(failing: failing) }
        let isOver = ["stopped", "failed"].contains(world.state.position)
        #expect(isOver, "\(situation.name), failing: \(failing): \(world.state.position)")
        let replied = Set(world.replies.map(\.id))
        #expect(asked == 0 || replied.contains(asked), "\(situation.name), failing: \(failing)")
        #expect(world.state.kernel.census.waiting.isEmpty)
      }
    }
  }
}
