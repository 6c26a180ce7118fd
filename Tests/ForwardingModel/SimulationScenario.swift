// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// What happens in a simulation. Times in seconds, which are ticks.
public struct SimulationScenario: Hashable, Sendable {
  public var affinity: Affinity
  public var transport = Transport.tcp
  public var seconds = 1800
  public var flowsPerSecond = 20
  public var backends = 50
  public var secondsPerChange = 60
  public var changes: Set<Change> = [.drain, .add]
  public var balancers = 1
  public var learn = 300
  public var settle = 300
  public var tcpIdle = 300
  public var udpIdle = 30
  /// Whether balancers tell each other of the entries they write.
  public var sharesEntries = false
  /// Of a hundred flows, how many fall silent for `silence` seconds after their first twenty.
  public var silentPercent = 0
  public var silence = 0
  /// Of a hundred flows, how many send their SYN twice.
  public var retransmittingPercent = 0
  /// Of a flow, in seconds.
  public var longestLife = 3000.0
  /// Stray packets a second of each kind, each of a flow of its own.
  public var straysPerSecond = 0
  /// Whether a backend is taken away when its drain is over.
  public var removesDrained = false
  public var quiet = 60
  public var floodPerSecond = 0
  public var flood = PacketKind.first
  /// Room in the flow table, and entries a tick.
  public var capacity = Int.max
  public var newPerTick = Int.max
  public var learnedPerTick = Int.max
  /// What a simpler rule does: a SYN that cannot be written goes to current all the same.
  public var sendsRefusedFirstToCurrent = false

  /// What may happen to the pool or to the balancers; one of these at a time.
  public enum Change: Int, CaseIterable, Hashable, Sendable {
    case drain, add
    /// A backend goes down, until it is added.
    case fail
    /// A backend's checks fail for ten seconds, it goes on answering.
    case flap
    /// A balancer goes or comes: ECMP sends other flows to the others.
    case balancer
  }

  public init(_ affinity: Affinity) { self.affinity = affinity }

  /// Lives after Pareto, ten seconds at least; talks often or seldom.
  func flow(number: Int, at now: Int, _ source: inout Source) -> SimulatedFlow {
    let life = min(longestLife, 10 * source.pareto(1.1))
    var flow = SimulatedFlow(
      model: ModelFlow(number, transport, places: [Int(source.below(UInt64(Simulation.slotCount)))]),
      end: now + Int(life), chance: [1, 1, 0.3, 0.05][Int(source.below(4))])
    if transport == .udp { flow.chance = max(flow.chance, 0.3) }
    if source.below(100) < silentPercent {
      flow.silent = (now + 20)..<(now + 20 + silence)
      flow.end = max(flow.end, now + 20 + silence + 60)
    }
    if source.below(100) < retransmittingPercent { flow.syns = 1 }
    return flow
  }

  func home(of flow: Int) -> (service: Int, flow: ModelFlow) { (0, ModelFlow(flow, transport, places: [0])) }
}

struct SimulatedFlow {
  var model: ModelFlow
  var backend = noBackend
  var end: Int
  /// To send a packet in a second.
  var chance: Double
  /// When it says nothing.
  var silent = 0..<0
  /// How many more SYNs it sends.
  var syns = 0

  init(model: ModelFlow, end: Int, chance: Double) {
    self.model = model
    self.end = end
    self.chance = chance
  }

  func speaks(_ now: Int, _ source: inout Source) -> Bool { !silent.contains(now) && source.unit() < chance }
}

/// Random numbers that a seed repeats.
struct Source {
  private var state: UInt64

  init(seed: UInt64) { state = mix(seed) }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return mix(state)
  }

  mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Of a Pareto distribution that begins at 1.
  mutating func pareto(_ shape: Double) -> Double { pow(1 - unit(), -1 / shape) }

  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[Int(below(UInt64(elements.count)))]
  }
}
