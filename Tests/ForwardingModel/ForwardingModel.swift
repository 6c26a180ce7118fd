// SPDX-License-Identifier: Apache-2.0

/// The packet path's decision as docs/affinity.md states it, written from there and not from the program: the two are
/// compared by tests, and networks of balancers are simulated with it.
public struct ForwardingModel: Sendable {
  /// By number. Number 0 is nobody.
  public var backends: [ModelBackend]
  public var pools: [ModelPool]
  public var services: [ModelService]
  public internal(set) var entries: [Int: ModelEntry] = [:]
  /// What the flow table holds of clients.
  public internal(set) var clients: [ModelClient: ModelEntry] = [:]
  /// How many entries the flow table has room for.
  public var capacity = Int.max
  /// Entries that may be added in a tick; a service may add half of it.
  public var newPerTick = Int.max
  public var learnedPerTick = Int.max
  /// What a simpler balancer does: a first packet that cannot be written goes to current all the same. For comparison.
  public var sendsRefusedFirstToCurrent = false
  /// When an unknown flow of a backend was last confirmed, or a packet went to it that could not be written.
  public internal(set) var lastUnknown: [Int: Int] = [:]
  public internal(set) var events = ModelEvents()
  /// In ticks.
  public internal(set) var now: Int
  var budgets = InsertBudgets()

  public init(
    backends: [ModelBackend] = [], pools: [ModelPool] = [], services: [ModelService] = [], now: Int = 0
  ) {
    self.backends = backends
    self.pools = pools
    self.services = services
    self.now = now
  }

  public mutating func pass(_ ticks: Int) {
    now += ticks
    budgets = InsertBudgets()
  }

  /// Where a packet goes. It may leave an entry behind.
  public mutating func decide(_ kind: PacketKind, of flow: ModelFlow, for service: Int) -> Decision {
    let settings = services[service]
    let slot = pools[settings.pool].slots[flow.places[settings.pool]]
    if settings.affinity == .none { return delivered(to: slot.current) }
    let view = view(of: slot, flow, settings)
    if view.state == .stable && settings.affinity == .changes { return delivered(to: slot.current) }
    return decide(Packet(kind: kind, flow: flow, service: service, settings: settings, slot: view))
  }

  private mutating func decide(_ packet: Packet) -> Decision {
    let entry = entries[packet.flow.number]
    let live = entry.flatMap { isLive($0, packet.flow.transport, packet.settings) ? $0 : nil }
    if let live, hasItsBackend(live), isUsable(live.backend), !(packet.kind == .first && isReplaceable(live))
    {
      events.found += 1
      if packet.kind.isEvidence { renew(live, packet) }
      return .backend(live.backend)
    }
    if packet.kind == .first { return begin(packet, replaces: entry != nil) }
    return continueUnknown(packet, isGone: live != nil, replaces: entry != nil)
  }

  /// A first packet that no entry binds.
  private mutating func begin(_ packet: Packet, replaces: Bool) -> Decision {
    let chosen = backendOfClient(packet) ?? packet.slot.current
    guard isUsable(chosen) else { return .dropped }
    guard replaces || packet.mayAdd || chosen != packet.slot.current else { return .backend(chosen) }
    if write(packet, chosen, marks: .synOnly, replaces: replaces) {
      events.started += 1
      return .backend(chosen)
    }
    if sendsRefusedFirstToCurrent { return delivered(to: chosen) }
    let next = presumedOwner(packet)
    noteUnwritten(packet, next)
    return delivered(to: next)
  }

  /// - Parameter isGone: an entry names a backend that is not usable.
  private mutating func continueUnknown(_ packet: Packet, isGone: Bool, replaces: Bool) -> Decision {
    if packet.settings.resets, packet.mayBeReset, isGone { return .reset }
    var chosen = presumedOwner(packet)
    guard packet.kind.isEvidence, !packet.kind.isReset else { return delivered(to: chosen) }
    if packet.flow.transport == .udp, chosen == packet.slot.current, let known = backendOfClient(packet) {
      chosen = known
    }
    guard isUsable(chosen) else { return .dropped }
    guard replaces || packet.mayAdd else { return .backend(chosen) }
    let marks = packet.kind.marks(after: []).union(.once)
    if write(packet, chosen, marks: marks, replaces: replaces) {
      events.learned += 1
      if let written = entries[packet.flow.number] { remember(packet, written) }
    } else {
      noteUnwritten(packet, chosen)
    }
    return .backend(chosen)
  }

  /// Who an unknown flow of the packet's slot belongs to; somebody asks because a packet goes there.
  private mutating func presumedOwner(_ packet: Packet) -> Int {
    let owner = presumedOwner(packet.slot)
    if owner != packet.slot.current { events.toPrevious += 1 }
    return owner
  }

  /// A packet that could not be written goes to a backend: it may be of a flow that a drain has to wait for.
  private mutating func noteUnwritten(_ packet: Packet, _ backend: Int) {
    if backend != packet.slot.current { lastUnknown[backend] = now }
  }

  private func presumedOwner(_ slot: SlotView) -> Int {
    slot.mayBeOlder && isUsable(slot.previous) ? slot.previous : slot.current
  }

  func isUsable(_ backend: Int) -> Bool { backend != noBackend && backends[backend].isUsable }

  private func delivered(to backend: Int) -> Decision { isUsable(backend) ? .backend(backend) : .dropped }
}

// MARK: - Slots

extension ForwardingModel {
  /// A slot as one service sees it now.
  private func view(of slot: ModelSlot, _ flow: ModelFlow, _ service: ModelService) -> SlotView {
    guard let move = service.move else { return view(of: slot, flow.transport, service, service.pool) }
    if now - move.at > pools[service.pool].settle {
      var own = view(of: slot, flow.transport, service, service.pool)
      if own.state == .stable { own.state = .settling }
      return own
    }
    let old = view(
      of: pools[move.before].slots[flow.places[move.before]], flow.transport, service, move.before)
    return SlotView(
      current: slot.current, previous: presumedOwner(old), state: .changed,
      mayBeOlder: now - move.at <= window(of: flow.transport, service))
  }

  private func window(of transport: Transport, _ service: ModelService) -> Int {
    transport == .tcp ? service.learn : service.udpIdle
  }

  private func view(of slot: ModelSlot, _ transport: Transport, _ service: ModelService, _ pool: Int)
    -> SlotView
  {
    let state = state(of: slot, settle: pools[pool].settle)
    return SlotView(
      current: slot.current, previous: slot.previous, state: state,
      mayBeOlder: state == .changed && now - slot.since <= window(of: transport, service))
  }

  /// A changed slot settles with time, but not while its previous backend drains.
  func state(of slot: ModelSlot, settle: Int) -> ModelSlot.State {
    guard slot.state == .changed, now - slot.since > settle else { return slot.state }
    return slot.previous != noBackend && backends[slot.previous].isDraining ? .changed : .settling
  }
}

/// A packet and what the decision about it needs.
struct Packet {
  var kind: PacketKind
  var flow: ModelFlow
  var service: Int
  var settings: ModelService
  var slot: SlotView

  /// Whether a flow that has no entry may get one. TCP flows of a settling slot get none.
  var mayAdd: Bool { flow.transport == .udp || settings.affinity == .all || slot.state == .changed }

  var mayBeReset: Bool {
    if case .segment(_, reset: false, _) = kind { true } else { false }
  }
}

struct SlotView {
  var current, previous: Int
  var state: ModelSlot.State
  /// Whether an unknown flow may be older than the slot's change.
  var mayBeOlder: Bool
}
