// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import LoadBalancing
import Testing

@testable import Control
@testable import Dataplane

/// Changes that come at the same time, and events that come in the middle of a change.
struct ChangeOrderTests {
  private func names(_ actions: [Action]?) -> [String] { (actions ?? []).map(\.name) }

  /// Issue 9, C1: SIGHUP, then a newer file and `config reload --wait`.
  @Test func `a reload of a newer file that follows SIGHUP puts the newer file in force`() throws {
    var world = ControlWorld.running()
    world.file = ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2])])
    world.request(.reload)
    let newer = ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2, 4])])
    // SIGHUP's file is read already when the newer one is written.
    let older = world.result(of: world.pending.remove(at: 0), failing: false)
    world.file = newer
    let second = world.request(.reload)
    world.handle(older)
    world.completeAll()
    #expect(world.replies.map(\.id) == [1, second])
    #expect(world.state.view.configuration.inForce.desired == newer.desired)
    #expect(try world.replies.last?.result.get().effect.changes.isEmpty == false)
  }

  /// Issue 9, C1: a reload must not slip in between the check of `If-Match` and the change.
  @Test func `the tag is checked when the change's turn has come`() {
    var world = ControlWorld.running()
    var terms = ChangeTerms()
    terms.expectedTag = "run-1"
    world.file = ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2])])
    world.request(.reload)
    let drain = world.request(ControlWorld.drain, terms)
    #expect(world.state.view.configuration.generation == 1)
    world.completeAll()
    #expect(world.replies.map(\.id) == [1, drain])
    guard case .failure(let error as ControlError)? = world.replies.last?.result else {
      Issue.record("the change was made")
      return
    }
    #expect(error.body.code == "generation-changed")
  }

  @Test func `changes are carried out one after the other, in the order of their requests`() {
    var world = ControlWorld.running()
    for number in 0..<20 {
      world.request(.change(backend: "b1", pool: "web", BackendChange(weight: 10 + number)))
    }
    #expect(world.pending.map(\.name) == ["save"])
    world.completeAll()
    #expect(world.replies.map(\.id) == Array(1...20))
    #expect(world.state.view.configuration.generation == 21)
    #expect(world.saved.map(\.weight) == [29])
  }

  /// A1: the disk is slow.
  @Test func `a verdict is in force while a change waits for the disk`() {
    var world = ControlWorld.running()
    world.request(ControlWorld.drain)
    world.down = [.v4(10, 0, 0, 3)]
    world.handle(.healthDecided(world.decision(on: world.checked)))
    world.complete { $0.name == "apply" }
    #expect(world.kernel.backend(named: "b3", in: "web")?.isUsable == false)
    #expect(world.pending.contains { $0.name == "save" }, "the change still waits")
    world.completeAll()
    #expect(world.kernel.backend(named: "b1", in: "web")?.isDraining == true)
    #expect(world.kernel.backend(named: "b3", in: "web")?.isUsable == false)
  }

  /// A7: only the next hops of backends that a change adds are waited for.
  @Test func `a change waits for no next hop of other backends`() {
    var world = ControlWorld.running()
    var network = NetworkView(link: ControlWorld.link, probeHookIndex: ControlWorld.link.index)
    network.paths[.v4(10, 0, 0, 2)] = BackendPath(state: .init(mac: nil, mtu: 1500))
    world.handle(.networkRead(.success(network)))
    #expect(
      names(world.handle(.requested(50, ControlWorld.drain, by: Requester(identity: "t"), ChangeTerms())))
        == ["save"])
    world.completeAll()
    let actions = world.handle(
      .requested(51, ControlWorld.addition, by: Requester(identity: "t"), ChangeTerms()))
    guard case .resolve(_, let query, let patience)? = actions.first else {
      Issue.record("no next hop is looked for")
      return
    }
    #expect(query.addresses == [.v4(10, 0, 0, 9)])
    #expect(patience <= .milliseconds(500))
  }

  @Test func `a backend that was removed and is added again gets the next hop that it has then`() {
    var world = ControlWorld.running()
    var terms = ChangeTerms()
    terms.force = true
    world.request(ControlWorld.addition)
    world.completeAll()
    world.request(.remove(backend: "b9", pool: "web", reason: nil), terms)
    world.completeAll()
    #expect(world.kernel.backend(named: "b9", in: "web") == nil)
    world.request(ControlWorld.addition)
    #expect(names(world.pending) == ["resolve"])
  }

  @Test func `a change that waits for its file blocks neither verdicts nor ticks`() {
    var world = ControlWorld.running()
    world.request(.reload)
    world.down = [.v4(10, 0, 0, 2)]
    #expect(
      names(world.handle(.healthDecided(world.decision(on: world.checked)))).contains("apply"))
    #expect(names(world.handle(.tick)).contains("readNetwork"))
  }

  @Test func `a change that cannot be saved and must be is not made`() {
    var world = ControlWorld.running()
    var terms = ChangeTerms()
    terms.requiresSaved = true
    world.request(ControlWorld.drain, terms)
    world.complete(failing: true) { $0.name == "save" }
    #expect(world.replies.count == 1 && world.kernel.backend(named: "b1", in: "web")?.isDraining == false)
    guard case .failure(let error as ControlError)? = world.replies.first?.result else {
      Issue.record("the change was made")
      return
    }
    #expect(error.status.code == 507 && error.body.code == "not-saved")
  }

  @Test func `a change that was saved and not applied is saved no more`() {
    var world = ControlWorld.running()
    world.request(ControlWorld.drain)
    world.complete { $0.name == "save" }
    #expect(world.saved.count == 1)
    world.complete(failing: true) { $0.name == "apply" }
    world.completeAll()
    #expect(world.saved.isEmpty && world.state.view.overrides.inForce.isEmpty)
    #expect(world.state.view.forwarding.isFulfilled)
    #expect(world.state.view.configuration.generation == 1)
  }

  @Test func `a removal with force cuts off the backend that leaves`() {
    var world = ControlWorld.running()
    var terms = ChangeTerms()
    terms.force = true
    world.request(ControlWorld.removal, terms)
    world.completeAll()
    #expect(world.kernel.backends.values.allSatisfy { $0.name != "b1" })
    #expect(world.replies.count == 1)
  }

  // MARK: Starts

  @Test func `a start whose plan exceeds a limit fails where nothing is forwarded`() {
    var limits = ControlWorld.configuration().node.limits
    limits.backends = 2
    var world = ControlWorld(ControlWorld.configuration(limits: limits))
    world.start()
    guard case .failed(let error) = world.state.phase else {
      Issue.record("\(world.state.position)")
      return
    }
    #expect(error.description.contains("limits.backends"))
  }

  @Test func `such a start forwards on and is ready where something is forwarded`() {
    let before = ControlWorld.running(ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2])]))
    var limits = ControlWorld.configuration().node.limits
    limits.backends = 2
    var world = ControlWorld(ControlWorld.configuration(limits: limits))
    world.kernel = before.kernel
    var names: [String] = []
    names += world.handle(.start).map(\.name)
    while let actions = world.complete() { names += actions.map(\.name) }
    names += world.handle(.controlServed).map(\.name)
    #expect(names.contains("started") && names.contains("reportReady"))
    #expect(world.kernel == before.kernel)
    #expect(world.state.view.alarms.current.contains { $0.code == .notApplied })
  }

  @Test func `reading changes nothing`() {
    let world = ControlWorld.running()
    let view = world.state.view
    _ = view.status([], at: world.now)
    _ = view.pools()
    _ = view.services(CounterReading())
    #expect(world.notices.count == ControlWorld.running().notices.count)
  }
}
