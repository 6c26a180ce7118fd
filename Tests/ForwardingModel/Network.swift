// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The balancers of a simulation, all with the same tables, and the one pool behind them.
struct Network {
  private var balancers: [ForwardingModel]
  /// Those that ECMP sends to.
  private var present: [Int]
  private let scenario: SimulationScenario
  private var ready: Set<Int>
  /// In the order of their going.
  private var drained: [Int] = []
  private var drainingSince: [Int: Int] = [:]
  private var removed: Set<Int> = []
  /// How many drains came to their end.
  private(set) var drains = 0
  private var down: [Int] = []
  /// A backend whose checks fail, and when they succeed again.
  private var flapping: (backend: Int, until: Int)?
  private(set) var now = 0
  private(set) var inserts = 0
  private(set) var peakEntries = 0
  private var places: [Int: Int] = [:]
  private var floodCount = 0

  init(_ scenario: SimulationScenario) {
    self.scenario = scenario
    ready = Set(1...scenario.backends)
    present = Array(0..<scenario.balancers)
    var service = ModelService(
      pool: 0, learn: scenario.learn, udpIdle: scenario.udpIdle, tcpIdle: scenario.tcpIdle)
    service.affinity = scenario.affinity
    var balancer = ForwardingModel(
      backends: (0...scenario.backends).map { _ in ModelBackend() },
      pools: [ModelPool(Self.table(ready), settle: scenario.settle)], services: [service])
    balancer.capacity = scenario.capacity
    balancer.newPerTick = scenario.newPerTick
    balancer.learnedPerTick = scenario.learnedPerTick
    balancer.sendsRefusedFirstToCurrent = scenario.sendsRefusedFirstToCurrent
    balancers = Array(repeating: balancer, count: scenario.balancers)
  }

  private static func table(_ ready: Set<Int>) -> [Int] {
    let members = ready.sorted()
    let table = MaglevTable.build(
      members.map { .init(address: .v4(10, 0, UInt8($0 >> 8), UInt8($0 & 255)), weight: 100) },
      size: Simulation.slotCount)
    return table.owners.map { members[Int($0)] }
  }

  func isUsable(_ backend: Int) -> Bool { balancers[0].isUsable(backend) }

  /// Whether it was taken away because its drain was over.
  func isRemoved(_ backend: Int) -> Bool { removed.contains(backend) }

  var refused: Int { balancers.reduce(0) { $0 + $1.events.overBudget + $1.events.tableFull } }

  mutating func pass(_ now: Int) {
    self.now = now
    for index in balancers.indices { balancers[index].pass(1) }
  }

  // MARK: - Packets

  /// The backend that a packet goes to; nil: it is dropped.
  mutating func send(_ kind: PacketKind, of flow: SimulatedFlow) -> Int? { send(kind, of: flow.model) }

  private mutating func send(_ kind: PacketKind, of flow: ModelFlow) -> Int? {
    let index = balancer(of: flow.number)
    let before = balancers[index].entries[flow.number]
    guard case .backend(let backend) = balancers[index].decide(kind, of: flow, for: 0) else { return nil }
    guard let entry = balancers[index].entries[flow.number] else { return backend }
    if before == nil { noteInsert(flow, by: index) }
    if scenario.sharesEntries, entry.backend != before?.backend || entry.marks != before?.marks {
      for other in balancers.indices where other != index { balancers[other].entries[flow.number] = entry }
    }
    return backend
  }

  private mutating func noteInsert(_ flow: ModelFlow, by index: Int) {
    inserts += 1
    places[flow.number] = flow.places[0]
    peakEntries = max(peakEntries, balancers[index].entries.count)
  }

  /// By rendezvous, so that only the flows of a balancer that goes or comes move.
  private func balancer(of flow: Int) -> Int {
    guard scenario.balancers > 1 else { return 0 }
    return present.max { mix(UInt64(flow * 64 + $0)) < mix(UInt64(flow * 64 + $1)) }!
  }

  /// Packets of flows that nobody has heard of, each another.
  mutating func flood(_ count: Int, _ source: inout Source) {
    for _ in 0..<count {
      floodCount += 1
      let place = Int(source.below(UInt64(Simulation.slotCount)))
      _ = send(scenario.flood, of: ModelFlow(-floodCount, scenario.transport, places: [place]))
    }
  }

  /// What arrives without a connection, each from another source.
  mutating func stray(_ count: Int, _ source: inout Source) {
    let kinds: [(PacketKind, Transport)] = [
      (.acknowledgement, .tcp), (.segment(reset: true), .tcp), (.odd, .tcp), (.error, .tcp),
      (.datagram, .udp),
    ]
    for (kind, transport) in kinds where transport == scenario.transport || kind == .error {
      for _ in 0..<count {
        floodCount += 1
        let place = Int(source.below(UInt64(Simulation.slotCount)))
        _ = send(kind, of: ModelFlow(-floodCount, scenario.transport, places: [place]))
      }
    }
  }

  // MARK: - Changes

  mutating func change(_ source: inout Source) {
    switch source.pick(scenario.changes.sorted { $0.rawValue < $1.rawValue }) {
    case .drain: drain(&source)
    case .add: add()
    case .fail: fail(&source)
    case .flap: flap(&source)
    case .balancer: changeBalancers(&source)
    }
  }

  private var mayLoseOne: Bool { ready.count * 10 > scenario.backends * 6 }

  private mutating func drain(_ source: inout Source) {
    guard mayLoseOne else { return }
    let backend = take(&source)
    drained.append(backend)
    publish()
    set(backend) { $0.isDraining = true }
    drainingSince[backend] = now
  }

  private mutating func fail(_ source: inout Source) {
    guard mayLoseOne else { return }
    let backend = take(&source)
    down.append(backend)
    set(backend) { $0.isUsable = false }
    publish()
  }

  private mutating func flap(_ source: inout Source) {
    guard mayLoseOne, flapping == nil else { return }
    let backend = take(&source)
    flapping = (backend, now + 10)
    set(backend) { $0.isUsable = false }
    publish()
  }

  mutating func advanceFlap() {
    guard let (backend, until) = flapping, now >= until else { return }
    flapping = nil
    bringBack(backend)
  }

  private mutating func add() {
    if !down.isEmpty {
      bringBack(down.removeFirst())
    } else if !drained.isEmpty {
      bringBack(drained.removeFirst())
    }
  }

  private mutating func bringBack(_ backend: Int) {
    ready.insert(backend)
    drainingSince[backend] = nil
    removed.remove(backend)
    set(backend) {
      $0.isUsable = true
      $0.isDraining = false
    }
    publish()
  }

  private mutating func changeBalancers(_ source: inout Source) {
    if present.count > 2 {
      present.remove(at: Int(source.below(UInt64(present.count))))
    } else {
      present = Array(0..<scenario.balancers)
    }
  }

  private mutating func take(_ source: inout Source) -> Int {
    let backend = source.pick(ready.sorted())
    ready.remove(backend)
    return backend
  }

  private mutating func set(_ backend: Int, _ change: (inout ModelBackend) -> Void) {
    for index in balancers.indices { change(&balancers[index].backends[backend]) }
  }

  private mutating func publish() {
    let table = Self.table(ready)
    for index in balancers.indices { balancers[index].publish(table, pool: 0) }
  }

  // MARK: - Sweeps

  mutating func sweep() {
    for index in balancers.indices {
      balancers[index].sweep { [places, transport = scenario.transport] flow in
        (0, ModelFlow(flow, transport, places: [places[flow]!]))
      }
    }
    places = places.filter { flow, _ in balancers.contains { $0.entries[flow] != nil } }
    for (backend, since) in drainingSince.sorted(by: { $0.key < $1.key }) where hasDrained(backend, since) {
      drainingSince[backend] = nil
      drains += 1
      set(backend) { $0.isDraining = false }
      guard scenario.removesDrained else { continue }
      removed.insert(backend)
      set(backend) { $0.isUsable = false }
    }
  }

  private func hasDrained(_ backend: Int, _ since: Int) -> Bool {
    balancers.allSatisfy { balancer in
      let flows = balancer.flowsLeft(backend) { [places, transport = scenario.transport] flow in
        (0, ModelFlow(flow, transport, places: [places[flow]!]))
      }
      return Drain.isOver(
        flows: flows, lastNew: balancer.lastUnknown[backend].map { Double(now - $0) },
        after: Double(now - since), quiet: scenario.quiet)
    }
  }
}
