// SPDX-License-Identifier: Apache-2.0
import Dataplane
import LoadBalancing
import Testing

@testable import Control

/// When the network is read: changes of it may come faster than it can be read.
@Suite struct NetworkReadTests {
  private func reads(_ actions: [Action]) -> [NetworkQuery] {
    actions.compactMap { if case .readNetwork(let query) = $0 { query } else { nil } }
  }

  private func complete(_ world: inout ControlWorld, failing: Bool = false) -> [NetworkQuery] {
    reads(world.complete(failing: failing) { $0.name == "readNetwork" } ?? [])
  }

  @Test(arguments: [false, true])
  func `one reading is under way, and one follows it, however many changes there are`(_ failing: Bool) {
    var world = ControlWorld.running()
    let begun = (0..<100).flatMap { _ in reads(world.handle(.networkChanged)) }
    #expect(begun.count == 1)
    #expect(complete(&world, failing: failing).count == 1, "what changed since")
    #expect(complete(&world, failing: failing).isEmpty)
    #expect(reads(world.handle(.networkChanged)).count == 1)
  }

  @Test func `a tick waits for a reading that is under way`() {
    var world = ControlWorld.running()
    #expect(reads(world.handle(.networkChanged)).count == 1)
    #expect(reads(world.handle(.tick)).isEmpty)
    #expect(complete(&world).count == 1)
  }

  /// A row of a backend shows what packets are given, not what was found out and is still to be written.
  @Test func `the next hop of a backend is known once it is written`() {
    var world = ControlWorld.running()
    let address = ControlWorld.backend(1).address
    let before = world.state.view.forwarding.nextHops[1]
    #expect(before?.mtu == 1500)
    world.handle(.networkChanged)
    let index = world.pending.firstIndex { $0.name == "readNetwork" }
    if let index { world.pending.remove(at: index) }
    var view = NetworkView(link: ControlWorld.link, probeHookIndex: ControlWorld.link.index)
    let state = NextHopState(
      mac: HardwareAddress("02:00:00:00:00:09"), mtu: 1400, sourceAddress: .v4(10, 0, 0, 254))
    view.paths[address] = BackendPath(via: address, state: state, isResolved: true)
    let actions = world.handle(.networkRead(.success(view)))
    #expect(world.state.view.forwarding.nextHops[1] == before)
    let written = actions.compactMap { if case .setNextHops(let nextHops) = $0 { nextHops } else { nil } }
    world.handle(.nextHopsSet(written.first ?? [:]))
    #expect(world.state.view.forwarding.nextHops[1] == state)
  }

  /// What is recorded as written decides what is written: it must not be taken for what was found out meanwhile.
  @Test func `a path that changes back while its next hop is written is written again`() {
    var world = ControlWorld.running()
    let address = ControlWorld.backend(1).address
    let first = world.state.view.uplinks.all[0].paths[address]
    var other = first
    other?.state.mac = HardwareAddress(bits: 0x02_00_00_00_00_08)
    func find(_ path: BackendPath?) -> [BackendNumber: NextHopState] {
      world.handle(.networkChanged)
      world.pending.removeAll { $0.name == "readNetwork" }
      var view = NetworkView(link: ControlWorld.link, probeHookIndex: ControlWorld.link.index)
      view.paths[address] = path
      return nextHops(in: world.handle(.networkRead(.success(view))))
    }
    let written = find(other)
    #expect(written == [1: other?.state])
    #expect(find(first).isEmpty)
    #expect(nextHops(in: world.handle(.nextHopsSet(written))) == [1: first?.state])
  }

  /// The plan gave it the path of the time at which it was made.
  @Test func `a path that changes while its backend is added is written after the plan`() {
    var world = ControlWorld.running()
    world.completeAll()
    world.file = ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2, 3, 4])])
    world.request(.reload)
    while world.complete(where: { $0.name != "apply" }) != nil {}
    #expect(world.pending.contains { $0.name == "apply" })
    let address = ControlWorld.backend(4).address
    let state = NextHopState(
      mac: HardwareAddress(bits: 0x02_00_00_00_00_08), mtu: 1500, sourceAddress: .v4(10, 0, 0, 254))
    world.handle(.networkChanged)
    world.pending.removeAll { $0.name == "readNetwork" }
    var view = NetworkView(link: ControlWorld.link, probeHookIndex: ControlWorld.link.index)
    view.paths[address] = BackendPath(via: address, state: state, isResolved: true)
    #expect(nextHops(in: world.handle(.networkRead(.success(view)))).isEmpty)
    let actions = world.complete { $0.name == "apply" } ?? []
    #expect(nextHops(in: actions).values.map(\.mac) == [state.mac])
  }

  private func nextHops(in actions: [Action]) -> [BackendNumber: NextHopState] {
    actions.compactMap { if case .setNextHops(let nextHops) = $0 { nextHops } else { nil } }.first ?? [:]
  }

  /// A reading that began before the program was attached does not see it.
  @Test func `a reading that is older than an attachment is repeated, not acted upon`() {
    var world = ControlWorld.running()
    world.request(.detach)
    world.completeAll()
    world.handle(.networkChanged)
    world.request(.attach)
    world.complete { $0.name == "attach" }
    let old = NetworkView(link: Sample.link(index: 3), probeHookIndex: 3)
    let index = world.pending.firstIndex { $0.name == "readNetwork" }
    if let index { world.pending.remove(at: index) }
    let actions = world.handle(.networkRead(.success(old)))
    #expect(actions.map(\.name) == ["readNetwork"])
    #expect(world.state.view.uplinks.isForwarding)
    #expect(complete(&world).isEmpty)
  }
}
