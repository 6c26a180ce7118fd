// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Connections through balancers while their pool changes: which of them break, and what remembering the others costs.
///
/// A connection is broken when a packet of it reaches another backend than the one it lives on while that one is usable.
public struct Simulation {
  public struct Outcome: Hashable, Sendable {
    public var flows = 0
    public var broken = 0
    /// A packet came while the flow's backend was not usable.
    public var ended = 0
    /// A backend was taken away after its drain, and had the connection still. These are broken, too.
    public var cut = 0
    /// A SYN came to another backend than the one before it.
    public var splitHandshakes = 0
    /// Entries written, of flows that the flow table did not have; and tried, but refused.
    public var inserts = 0
    public var refused = 0
    /// Drains that came to their end.
    public var drains = 0
    /// The largest flow table, and the most flows at a time.
    public var peakEntries = 0
    public var peakFlows = 0

    public init() {}

    public static func + (left: Outcome, right: Outcome) -> Outcome {
      var sum = left
      sum.flows += right.flows
      sum.broken += right.broken
      sum.ended += right.ended
      sum.cut += right.cut
      sum.drains += right.drains
      sum.splitHandshakes += right.splitHandshakes
      sum.inserts += right.inserts
      sum.refused += right.refused
      sum.peakEntries = max(left.peakEntries, right.peakEntries)
      sum.peakFlows = max(left.peakFlows, right.peakFlows)
      return sum
    }
  }

  static let slotCount = 8191

  var network: Network
  var source: Source
  /// Of its own, so that the same flows come with strays and without.
  private var strays: Source
  private let scenario: SimulationScenario
  private var flows: [SimulatedFlow] = []
  private var outcome = Outcome()

  /// The same scenario and seed give the same outcome.
  public static func run(_ scenario: SimulationScenario, seed: UInt64) -> Outcome {
    var simulation = Simulation(scenario, seed: seed)
    for second in 1..<scenario.seconds { simulation.pass(second) }
    return simulation.finished()
  }

  private init(_ scenario: SimulationScenario, seed: UInt64) {
    self.scenario = scenario
    source = Source(seed: seed)
    strays = Source(seed: ~seed)
    network = Network(scenario)
  }

  private mutating func pass(_ second: Int) {
    network.pass(second)
    if second % scenario.secondsPerChange == 0 { network.change(&source) }
    network.advanceFlap()
    if second % 10 == 0 { network.sweep() }
    if scenario.straysPerSecond > 0 { network.stray(scenario.straysPerSecond, &strays) }
    if scenario.floodPerSecond > 0 { network.flood(scenario.floodPerSecond, &source) }
    for _ in 0..<scenario.flowsPerSecond { begin() }
    var index = 0
    while index < flows.count {
      if survives(index) {
        index += 1
      } else {
        flows.swapAt(index, flows.count - 1)
        flows.removeLast()
      }
    }
    outcome.peakFlows = max(outcome.peakFlows, flows.count)
  }

  private mutating func begin() {
    outcome.flows += 1
    var flow = scenario.flow(number: outcome.flows, at: network.now, &source)
    guard let backend = network.send(scenario.transport == .udp ? .datagram : .first, of: flow) else {
      outcome.ended += 1
      return
    }
    flow.backend = backend
    if flow.syns > 0 || completesHandshake(flow) { flows.append(flow) }
  }

  /// Whether the client's answer to the SYN ACK, which comes at once, goes where the SYN went.
  private mutating func completesHandshake(_ flow: SimulatedFlow) -> Bool {
    if scenario.transport == .udp || network.send(.acknowledgement, of: flow) == flow.backend { return true }
    outcome.broken += 1
    return false
  }

  /// A second of a flow's life: whether it is to have another.
  private mutating func survives(_ index: Int) -> Bool {
    let flow = flows[index]
    guard network.now <= flow.end else { return false }
    if flow.syns > 0 { return retransmits(index) }
    guard flow.speaks(network.now, &source) else { return true }
    guard network.isUsable(flow.backend) else {
      if network.isRemoved(flow.backend) {
        outcome.cut += 1
        outcome.broken += 1
      } else {
        outcome.ended += 1
      }
      return false
    }
    if network.send(scenario.transport == .udp ? .datagram : .data, of: flow) == flow.backend { return true }
    outcome.broken += 1
    return false
  }

  /// Its SYN was lost behind the balancer, or the answer to it: it comes again.
  private mutating func retransmits(_ index: Int) -> Bool {
    flows[index].syns -= 1
    let backend = network.send(.first, of: flows[index])
    if backend != flows[index].backend, network.isUsable(flows[index].backend) {
      outcome.splitHandshakes += 1
    }
    flows[index].backend = backend ?? noBackend
    return backend != nil && completesHandshake(flows[index])
  }

  private func finished() -> Outcome {
    var outcome = outcome
    outcome.inserts = network.inserts
    outcome.refused = network.refused
    outcome.peakEntries = network.peakEntries
    outcome.drains = network.drains
    return outcome
  }
}
