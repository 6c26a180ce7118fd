// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import ForwardingModel
import LoadBalancing
import TestSupport

/// Plays histories to the model and to the program, and says where they differ.
///
/// The program's clock stands at 0. Time passes by moving the past back: the times of slots, moves and entries.
struct HistoryPlayer {
  let world: HistoryWorld
  let forwarder: ForwarderFixture
  private var model: ForwardingModel
  private var output = [UInt8](repeating: 0, count: 512)
  private var usedServices: Set<UInt32> = []

  init(_ world: HistoryWorld) throws {
    self.world = world
    forwarder = try makeForwarder(world.scenario)
    model = world.model(HistorySettings(learn: 0, udpIdle: 0, tcpIdle: 0, settle: 0))
  }

  struct Difference: CustomStringConvertible {
    var event: Int
    var description: String
  }

  /// Nil where model and program agree throughout.
  mutating func play(_ history: History) throws -> Difference? {
    try begin(history)
    let before = try forwarder.counts()
    for (index, event) in history.events.enumerated() {
      if let text = try play(event) { return Difference(event: index, description: text) }
    }
    let rise = try forwarder.counts() - before
    let text = try compareTraces() ?? compareTables() ?? compare(model.events, rise)
    return text.map { Difference(event: history.events.count - 1, description: "at the end: \($0)") }
  }

  private mutating func begin(_ history: History) throws {
    model = world.model(history.settings)
    try forwarder.forgetFlows()
    for number in 1...UInt32(HistoryWorld.backendCount) { try forwarder.lastUnknown.update(number, to: 0) }
    try renewBudgets()
    writeAll()
  }

  private mutating func play(_ event: HistoryEvent) throws -> String? {
    switch event {
    case .packet(let flow, let shape): return try send(flow, shape)
    case .pass(let ticks):
      if let text = try compareTraces() { return text }
      try pass(ticks)
    case .publish(let pool, let owners): model.publish(owners, pool: pool)
    case .usable(let backend, let isUsable): model.backends[backend].isUsable = isUsable
    case .draining(let backend, let isDraining): model.backends[backend].isDraining = isDraining
    case .recycle(let backend): model.recycle(backend)
    case .sweep: try sweep()
    case .markSettled: model.markSettled()
    case .affinity(let service, let affinity): model.services[service].affinity = affinity
    case .resets(let service, let resets): model.services[service].resets = resets
    case .move(let service, let pool): model.move(service, to: pool)
    case .moveEnds(let service): model.services[service].move = nil
    }
    writeAll()
    return nil
  }

  // MARK: - Packets

  private mutating func send(_ index: Int, _ shape: Shape) throws -> String? {
    let flow = world.flows[index]
    usedServices.insert(world.scenario.services[flow.service].number)
    let expected = model.decide(shape.kind(flow.flow.transport), of: flow.model, for: flow.service)
    let outcome = try forwarder.program.testRun(input: world.frame(index, shape), output: &output)
    let seen = decision(outcome.returnValue)
    if seen != expected {
      return "the model says \(expected), the program \(seen.map { "\($0)" } ?? "neither")"
    }
    let entry = try forwarder.flows.lookup(flow.flow.key).map { SeenEntry($0) }
    let wanted = model.entries[index].map { SeenEntry($0, now: model.now) }
    if entry != wanted { return "the model's entry is \(wanted as Any), the program's \(entry as Any)" }
    let pool = model.services[flow.service].pool
    let client = try forwarder.flows.lookup(clientKey(flow.flow, pool)).map { SeenEntry($0) }
    let wantedClient = model.clients[ModelClient(pool: pool, client: flow.model.client)]
      .map { SeenEntry($0, now: model.now) }
    return client == wantedClient
      ? nil : "the model's client is \(wantedClient as Any), the program's \(client as Any)"
  }

  private func clientKey(_ flow: Flow, _ pool: Int) -> flow_key {
    flow.clientKey(pool: world.scenario.pools[pool].number)
  }

  /// Nil where it is none of them.
  private func decision(_ action: UInt32) -> Decision? {
    if action == Action.drop { return .dropped }
    guard action == Action.transmit else { return nil }
    let destination = Array(output[..<6])
    if destination == HardwareAddress.router.octets { return .reset }
    return world.scenario.backends.first { $0.nextHop?.octets == destination }.map {
      .backend(Int($0.number))
    }
  }

  // MARK: - Time, and what the daemon does

  private mutating func pass(_ ticks: Int) throws {
    model.pass(ticks)
    for (key, var flow) in try forwarder.flows.entries() {
      flow.last_seen &-= UInt32(ticks)
      if flow.flags & UInt32(FLOW_ONCE) != 0 {
        flow.flags &-= UInt32(truncatingIfNeeded: ticks) << UInt32(FLOW_FIRST_SHIFT)
      }
      try forwarder.flows.update(key, to: flow)
    }
    try renewBudgets()
  }

  private mutating func renewBudgets() throws {
    guard world.scenario.newPerTick != .max else { return }
    try forwarder.renewInsertBudgets(of: Array(usedServices))
    usedServices = []
  }

  private mutating func sweep() throws {
    let (before, clients) = (Set(model.entries.keys), Set(model.clients.keys))
    model.sweep { [world] in (world.flows[$0].service, world.flows[$0].model) }
    for number in before.subtracting(model.entries.keys) {
      try forwarder.flows.delete(world.flows[number].flow.key)
    }
    for client in clients.subtracting(model.clients.keys) {
      let flow = world.flows.first { $0.model.client == client.client }!.flow
      try forwarder.flows.delete(clientKey(flow, client.pool))
    }
  }

  private func writeAll() {
    for number in 1...HistoryWorld.backendCount {
      let backend = model.backends[number]
      var nextHop = world.scenario.backend(UInt32(number)).abi.next_hop & ~UInt64(BACKEND_USABLE)
      if backend.isUsable { nextHop |= UInt64(BACKEND_USABLE) }
      if backend.isDraining { nextHop |= UInt64(BACKEND_DRAINING) }
      forwarder.backends[number].next_hop = nextHop
      forwarder.backends[number].generation = UInt32(backend.generation)
      forwarder.backends[number].pool = UInt16(world.scenario.pools[backend.pool].number)
    }
    for (index, pool) in model.pools.enumerated() {
      let number = world.scenario.pools[index].number
      forwarder.setSlots(of: number, to: pool.slots.map { $0.word(at: model.now) })
      forwarder.pools[Int(number)].settle = UInt64(pool.settle)
    }
    for (service, settings) in zip(world.scenario.services, model.services) {
      forwarder.setService(service.number, to: service.record(settings, now: model.now))
    }
  }
}

// MARK: - At the end of a tick, and of a history

extension HistoryPlayer {
  /// Whose unknown flows were confirmed in this tick, or sent a packet that could not be written.
  private func compareTraces() throws -> String? {
    for number in 1...HistoryWorld.backendCount {
      let expected = model.lastUnknown[number] == model.now ? LAST_UNKNOWN_SEEN : 0
      let seen = try forwarder.lastUnknown.lookup(UInt32(number))
      if seen != UInt64(expected) { return "last_unknown of \(number) is \(seen as Any), not \(expected)" }
      try forwarder.lastUnknown.update(UInt32(number), to: 0)
    }
    return nil
  }

  private func compareTables() throws -> String? {
    let count = try forwarder.flows.entries().count
    let expected = model.entries.count + model.clients.count
    return count == expected
      ? nil : "the model's flow table has \(expected) entries, the program's \(count)"
  }

  private func compare(_ expected: ModelEvents, _ seen: Counts) -> String? {
    for (name, expected, event) in [
      ("found", expected.found, .FLOW_FOUND), ("started", expected.started, .FLOW_STARTED),
      ("learned", expected.learned, .FLOW_LEARNED), ("to previous", expected.toPrevious, .FLOW_TO_PREVIOUS),
      ("not written", expected.tableFull, .FLOW_NOT_WRITTEN),
      ("over budget", expected.overBudget, .FLOW_OVER_BUDGET),
    ] as [(String, Int, flow_event)] where seen[event] != UInt64(expected) {
      return "\(name): the model counts \(expected), the program \(seen[event])"
    }
    return nil
  }
}

/// An entry, whoever holds it.
private struct SeenEntry: Equatable {
  var backend, generation, age: Int
  var marks: UInt32
  /// Since the first packet, of an unconfirmed flow.
  var ageOfFirst: Int?

  init(_ flow: flow) {
    (backend, generation, marks) = (Int(flow.backend), Int(flow.generation), flow.flags & 0xffff)
    age = Int(0 &- flow.last_seen)
    if marks & UInt32(FLOW_ONCE) != 0 {
      ageOfFirst = Int((0 &- flow.flags >> UInt32(FLOW_FIRST_SHIFT)) & 0xffff)
    }
  }

  init(_ entry: ModelEntry, now: Int) {
    (backend, generation, marks) = (entry.backend, entry.generation, UInt32(entry.marks.rawValue))
    age = now - entry.lastSeen
    ageOfFirst = entry.firstSeen.map { now - $0 }
  }
}

extension ModelSlot {
  fileprivate func word(at now: Int) -> UInt64 {
    let state: slot_state =
      switch state {
      case .stable: .SLOT_STABLE
      case .changed: .SLOT_CHANGED
      case .settling: .SLOT_SETTLING
      }
    return slot_word(UInt32(current), UInt32(previous), state, 0 &- UInt32(now - since))
  }
}

extension TestService {
  fileprivate func record(_ settings: ModelService, now: Int) -> service {
    var record = abi
    func binding(_ pool: Int) -> UInt64 { UInt64(firstPair) << 32 | UInt64(pool + 1) }
    record.binding = binding(settings.pool)
    record.before = binding(settings.move?.before ?? settings.pool)
    record.affinity =
      switch settings.affinity {
      case .none: .AFFINITY_NONE
      case .changes: settings.move == nil ? .AFFINITY_CHANGES : .AFFINITY_MOVED
      case .all: settings.move == nil ? .AFFINITY_ALL : .AFFINITY_MOVED_ALL
      }
    record.flags = settings.resets ? UInt32(SERVICE_RESETS) : 0
    record.learn = UInt32(settings.learn)
    record.udp_idle = UInt32(settings.udpIdle)
    record.tcp_idle = UInt32(settings.tcpIdle)
    record.moved = settings.move.map { 0 &- UInt32(now - $0.at) } ?? 0
    return record
  }
}
