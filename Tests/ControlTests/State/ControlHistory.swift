// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import ControlAPI
import LoadBalancing
import TestSupport
import Testing

@testable import Control
@testable import Dataplane

/// Random inputs and results in random order, some of them failures.
struct ControlHistory {
  var world: ControlWorld
  private var random: SplitMix64
  private(set) var steps = 0
  /// Requests that were made.
  private(set) var requests = 0
  /// Packets that were sent, by service.
  private var sent: [VirtualService.Key: UInt64] = [:]

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    world = .running(Self.configuration(&random))
  }

  // MARK: Steps

  mutating func step() {
    steps += 1
    world.now = world.now.advanced(by: .milliseconds(Int.random(in: 0...400, using: &random)))
    if chance(30) {
      let packets = world.send(UInt64.random(in: 0...100, using: &random))
      sent.merge(packets) { $0 + $1 }
    }
    world.census.entries = Int.random(in: 0...20, using: &random)
    world.hasDeadFlows = chance(50)
    if chance(55), !world.pending.isEmpty {
      completeOne()
    } else {
      input()
    }
    if steps % 8 == 0 { check() }
  }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  /// Ends the first action of one of the workers.
  private mutating func completeOne() {
    var firsts: [String: Int] = [:]
    for (index, action) in world.pending.enumerated().reversed() { firsts[action.worker] = index }
    let index = firsts.values.sorted().randomElement(using: &random)!
    let action = world.pending.remove(at: index)
    let fails = chance(6)
    if case .apply(let application) = action, fails, chance(50) {
      // It failed after the last step.
      world.kernel = application.plan.result
    }
    world.handle(world.result(of: action, failing: fails))
  }

  private mutating func input() {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<25: flip()
    case 25..<40: world.handle(.networkChanged)
    case 40..<55:
      world.now = world.now.advanced(by: .seconds(Int.random(in: 1...40, using: &random)))
      world.handle(.tick)
    case 55..<60: world.handle(.censusRequested(1_000_000))
    case 60..<70:
      world.file = Self.configuration(&random)
      ask(.reload)
    default: ask(change())
    }
  }

  /// A backend goes down, or comes up.
  private mutating func flip() {
    let address = Self.address(&random)
    if world.down.remove(address) == nil { world.down.insert(address) }
    world.handle(.healthDecided(world.decision(on: world.checked)))
  }

  private mutating func ask(_ request: ChangeRequest) {
    var terms = ChangeTerms()
    terms.dryRun = chance(10)
    terms.force = chance(40)
    terms.requiresSaved = chance(20)
    if chance(10) { terms.expectedTag = "run-\(world.state.view.configuration.generation)" }
    requests += 1
    world.request(request, terms)
  }

  private mutating func change() -> ChangeRequest {
    let pool = Self.pools.randomElement(using: &random)!
    let backend = "b\(Int.random(in: 1...5, using: &random))"
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<3:
      return .add(
        backend: backend, pool: pool,
        BackendAddition(address: "\(Self.address(&random))", weight: nil, state: nil, reason: nil))
    case 3..<5: return .remove(backend: backend, pool: pool, reason: "a test")
    case 5..<9:
      let state = ["ready", "drain", "maint"].randomElement(using: &random)
      let weight = chance(20) ? Int.random(in: 0...200, using: &random) : nil
      return .change(backend: backend, pool: pool, BackendChange(weight: weight, state: state))
    default: return chance(50) ? .detach : .attach
    }
  }

  // MARK: Invariants

  /// At most one plan is under way, and it begins at what the kernel holds. Nothing is counted twice.
  private func check() {
    let totals = world.state.view.history.forwarded.services
    #expect(totals.allSatisfy { $0.value.packets <= sent[$0.key] ?? 0 }, "step \(steps)")
    #expect(world.state.kernel.census.waiting.count <= steps && world.state.kernel.readings.count <= 4)
    #expect((world.state.view.flows.census?.found.entries ?? 0) >= 0)
    // Slots settle, and shares are shown, by what is known of the tables.
    let forwarding = world.state.view.forwarding
    #expect(
      forwarding.tables == forwarding.installed.pools.mapValues { TableSummary(of: $0.slots) },
      "step \(steps)")
    let plans = world.pending.count { $0.name == "apply" || $0.name == "recover" }
    #expect(plans <= 1, "step \(steps)")
    if plans == 0, world.state.kernel.knowledge == .current {
      #expect(world.state.view.forwarding.installed == world.kernel, "step \(steps)")
    }
  }

  // MARK: The end

  /// Lets everything come to its end, without faults, until drains are over and slots have settled.
  mutating func quiesce() {
    world.completeAll()
    if !world.state.view.uplinks.isForwarding { world.request(.attach) }
    world.completeAll()
    for _ in 0..<8 {
      world.now = world.now.advanced(by: .seconds(20_000))
      world.handle(.tick)
      world.completeAll()
    }
  }

  /// A fresh start on what this history left on the disk.
  func restarted() -> ControlHistory {
    var other = self
    var configuration = world.file
    configuration.desired = world.state.view.configuration.inForce.desired
    var fresh = ControlWorld(configuration)
    fresh.saved = world.saved
    fresh.down = world.down
    fresh.start()
    other.world = fresh
    other.quiesce()
    return other
  }

  /// What is installed, without numbers and places. What slots remember of earlier owners belongs to the history: a slot
  /// whose earlier owner drains does not settle.
  var shape: [String] {
    let installed = world.kernel
    func name(_ number: BackendNumber) -> String { installed.backends[number]?.name ?? "-" }
    let backends = installed.backends.values.map {
      "backend \($0.pool)/\($0.name) \($0.address) \($0.isUsable) \($0.isLeaving) \($0.isDraining)"
    }
    let pools = installed.pools.values.map { pool in
      "pool \(pool.name) " + pool.slots.map { name($0.current) }.joined(separator: " ")
    }
    let services = installed.services.values.map { "service \($0.service.key) \($0.service.pool)" }
    return (backends + pools + services).sorted()
  }

  // MARK: Random configurations

  private static let pools = ["web", "api"]

  private static func address(_ random: inout SplitMix64) -> IPAddress {
    .v4(10, 0, 0, UInt8.random(in: 1...6, using: &random))
  }

  private static func configuration(_ random: inout SplitMix64) -> Configuration {
    let names = pools.filter { _ in Int.random(in: 0..<4, using: &random) > 0 }
    let pools = (names.isEmpty ? ["web"] : names).map { name in
      var pool = ControlWorld.pool(name, (1...4).filter { _ in Bool.random(using: &random) })
      pool.require = .backends(0)
      return pool
    }
    let services = (1...2).map { number in
      ControlWorld.service(UInt8(number), pool: pools.randomElement(using: &random)!.name)
    }
    return ControlWorld.configuration(services: services, pools: pools)
  }
}

extension ControlWorld {
  /// What is checked now.
  var checked: DesiredState {
    state.view.configuration.inForce.desired.applying(state.view.overrides.inForce)
  }
}

extension Action {
  /// Which worker carries it out. Actions of one worker end in order.
  var worker: String {
    switch self {
    case .readSavedState, .save, .listSetAside: "overrides"
    case .loadConfiguration: "configuration"
    case .readCounters: "counters"
    case .takeCensus, .measure: "census"
    case .readNetwork, .resolve: "network"
    default: "forwarding"
    }
  }
}
