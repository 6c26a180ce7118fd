// SPDX-License-Identifier: Apache-2.0

/// A row of docs/simulation.md's table of simulated figures.
public struct SimulationCase: Sendable {
  public var name: String
  public var scenario: SimulationScenario

  init(_ name: String, _ affinity: Affinity, _ change: (inout SimulationScenario) -> Void = { _ in }) {
    self.name = name
    scenario = SimulationScenario(affinity)
    change(&scenario)
  }

  /// The sum of runs with the seeds 1, 2, ….
  public func run(seeds: Int) -> Simulation.Outcome {
    (1...seeds).reduce(Simulation.Outcome()) { $0 + Simulation.run(scenario, seed: UInt64($1)) }
  }

  public static let all = oneBalancer + fleet + flaps + floods + drains + flowsOfAllKinds

  private static let oneBalancer = [
    SimulationCase("one balancer, drain and add: `none`", .none),
    SimulationCase("one balancer, drain and add: `all`", .all),
    SimulationCase("one balancer, drain and add: `changes`", .changes),
  ]

  private static func isFleet(_ scenario: inout SimulationScenario) {
    scenario.balancers = 3
    scenario.changes = [.drain, .add, .fail, .balancer]
  }

  private static let fleet = [
    SimulationCase("three balancers: `none`", .none, isFleet),
    SimulationCase("three balancers: every flow in a table, no previous", .all) {
      isFleet(&$0)
      $0.learn = -1
    },
    SimulationCase("three balancers: `changes`, `learn` as long as `settle`", .changes, isFleet),
    SimulationCase("three balancers: `changes`, `learn` 30 s", .changes) {
      isFleet(&$0)
      $0.learn = 30
    },
    SimulationCase("three balancers: `changes`, entries shared", .changes) {
      isFleet(&$0)
      $0.sharesEntries = true
    },
    SimulationCase("three balancers: `changes`, `learn` 30 s, entries shared", .changes) {
      isFleet(&$0)
      $0.learn = 30
      $0.sharesEntries = true
    },
  ]

  private static let flaps = [
    SimulationCase("false alarms of 10 s: `none`", .none) { $0.changes = [.flap] },
    SimulationCase("false alarms of 10 s: `changes`", .changes) { $0.changes = [.flap] },
  ]

  private static func isFlooded(_ scenario: inout SimulationScenario) {
    scenario.capacity = 16384
    scenario.newPerTick = scenario.capacity / 64
    scenario.learnedPerTick = scenario.capacity / 128
    scenario.floodPerSecond = 5000
  }

  private static let floods = [
    SimulationCase("no SYN can be written, all go to current", .changes) {
      $0.newPerTick = 0
      $0.sendsRefusedFirstToCurrent = true
    },
    SimulationCase("no SYN can be written, `changes`", .changes) { $0.newPerTick = 0 },
    SimulationCase("5,000 SYNs/s, table of 16,384: `changes`", .changes, isFlooded),
    SimulationCase("5,000 ACKs/s, table of 16,384: `changes`", .changes) {
      isFlooded(&$0)
      $0.flood = .acknowledgement
    },
  ]

  /// Flows that end while the drain lasts: they are counted for `tcpIdle` after their last packet.
  private static func drainsAndRemoves(_ scenario: inout SimulationScenario) {
    scenario.removesDrained = true
    scenario.secondsPerChange = 300
    scenario.longestLife = 150
    scenario.tcpIdle = 120
  }

  private static let drains = [
    SimulationCase("drained backends are removed: `changes`", .changes, drainsAndRemoves),
    SimulationCase("the same with 100 strays/s of each kind", .changes) {
      drainsAndRemoves(&$0)
      $0.straysPerSecond = 100
    },
    SimulationCase("the same, UDP", .changes) {
      drainsAndRemoves(&$0)
      $0.straysPerSecond = 100
      $0.transport = .udp
    },
  ]

  private static let flowsOfAllKinds = [
    SimulationCase("UDP: `none`", .none) { $0.transport = .udp },
    SimulationCase("UDP: `changes`", .changes) { $0.transport = .udp },
    SimulationCase("a tenth sends its SYN twice: `changes`", .changes) { $0.retransmittingPercent = 10 },
    SimulationCase("a tenth falls silent for 200 s: `none`", .none) { isSilent(200, &$0) },
    SimulationCase("a tenth falls silent for 200 s: `changes`", .changes) { isSilent(200, &$0) },
    SimulationCase("a tenth falls silent for 600 s: `changes`", .changes) { isSilent(600, &$0) },
  ]

  private static func isSilent(_ seconds: Int, _ scenario: inout SimulationScenario) {
    scenario.silentPercent = 10
    scenario.silence = seconds
  }
}
