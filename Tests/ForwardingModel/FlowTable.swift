// SPDX-License-Identifier: Apache-2.0

/// How long an entry lives without a packet, in ticks, where no setting says it.
private let synOnlyIdle = 10
private let closingIdle = 60
/// After how long without a packet a closing flow is over.
private let overIdle = 10
/// How long after its first packet another one confirms a flow.
private let confirmedAfter = 2

extension ForwardingModel {
  func isLive(_ entry: ModelEntry, _ transport: Transport, _ service: ModelService) -> Bool {
    now - entry.lastSeen <= idleLimit(entry, transport, service)
  }

  /// Whether the number of the entry's backend has no other owner.
  func hasItsBackend(_ entry: ModelEntry) -> Bool {
    entry.backend != noBackend && entry.generation == backends[entry.backend].generation
  }

  private func idleLimit(_ entry: ModelEntry, _ transport: Transport, _ service: ModelService) -> Int {
    if entry.marks.contains(.synOnly) { return synOnlyIdle }
    if !entry.marks.isDisjoint(with: .closing) { return closingIdle }
    return transport == .udp ? service.udpIdle : service.tcpIdle
  }

  /// Whether a first packet of a flow replaces its live entry: it is over, and its backend drains.
  func isReplaceable(_ entry: ModelEntry) -> Bool {
    isOver(entry) && backends[entry.backend].isDraining
  }

  private func isOver(_ entry: ModelEntry) -> Bool {
    !entry.marks.isDisjoint(with: .closing) && now - entry.lastSeen > overIdle
  }

  mutating func renew(_ entry: ModelEntry, _ packet: Packet) {
    var renewed = entry
    renewed.lastSeen = now
    if packet.kind == .first {
      if renewed.marks.remove(.finished) != nil { renewed.marks.insert(.reset) }
    } else {
      renewed.marks = packet.kind.marks(after: entry.marks)
      if let first = entry.firstSeen {
        if packet.kind.mayConfirm, now - first >= confirmedAfter {
          renewed.firstSeen = nil
          lastUnknown[entry.backend] = now
        } else {
          renewed.marks.insert(.once)
        }
      }
    }
    entries[packet.flow.number] = renewed
    if packet.kind != .first, packet.kind.isEvidence { remember(packet, renewed) }
  }

  /// Whether the flow table has the packet's flow now. `replaces`: it had an entry of it, dead or alive.
  mutating func write(_ packet: Packet, _ backend: Int, marks: ModelEntry.Marks, replaces: Bool) -> Bool {
    guard replaces || mayInsert(packet.kind == .first ? .new : .learned, packet.service) else { return false }
    entries[packet.flow.number] = ModelEntry(
      backend: backend, generation: backends[backend].generation, lastSeen: now, marks: marks,
      firstSeen: marks.contains(.once) ? now : nil)
    return true
  }

  private mutating func mayInsert(_ kind: InsertBudgets.Kind, _ service: Int) -> Bool {
    guard budgets.take(kind, service, kind == .new ? newPerTick : learnedPerTick) else {
      events.overBudget += 1
      return false
    }
    guard entries.count + clients.count < capacity else {
      events.tableFull += 1
      return false
    }
    return true
  }

  // MARK: - Clients

  private func key(of packet: Packet) -> ModelClient {
    ModelClient(pool: packet.settings.pool, client: packet.flow.client)
  }

  /// The usable backend that the packet's client is known to have.
  func backendOfClient(_ packet: Packet) -> Int? {
    guard pools[packet.settings.pool].remembersClients, let entry = clients[key(of: packet)],
      hasItsBackend(entry), isUsable(entry.backend), now - entry.lastSeen <= packet.settings.tcpIdle
    else { return nil }
    return entry.backend
  }

  /// Remembers that the packet's client has a flow, unless that closes.
  mutating func remember(_ packet: Packet, _ flow: ModelEntry) {
    guard pools[packet.settings.pool].remembersClients, flow.marks.isDisjoint(with: .closing),
      backends[flow.backend].pool == packet.settings.pool
    else { return }
    if clients[key(of: packet)] == nil, !mayInsert(.learned, packet.service) { return }
    clients[key(of: packet)] = ModelEntry(
      backend: flow.backend, generation: backends[flow.backend].generation, lastSeen: now, marks: [])
  }
}

extension ForwardingModel {
  /// How many flows a drain of a backend has to wait for.
  /// - Parameter home: of an entry's flow, its service and itself.
  public func flowsLeft(_ backend: Int, _ home: (Int) -> (service: Int, flow: ModelFlow)) -> Int {
    entries.count { number, entry in
      guard entry.backend == backend, hasItsBackend(entry), !entry.marks.contains(.once), !isOver(entry)
      else {
        return false
      }
      let (service, flow) = home(number)
      return isLive(entry, flow.transport, services[service])
    }
  }
}

extension PacketKind {
  /// What is known of a flow after a packet that is not its first.
  func marks(after marks: ModelEntry.Marks) -> ModelEntry.Marks {
    guard case .segment(let fin, let reset, let payload) = self else { return [] }
    var result = marks.intersection(.finished)
    if fin { result = .finished } else if payload { result = [] }
    if reset { result.insert(.reset) }
    return result
  }

  /// Whether it shows that a flow lives of which one packet was seen before.
  var mayConfirm: Bool { isEvidence && !isReset }

  var isReset: Bool {
    if case .segment(_, reset: true, _) = self { true } else { false }
  }
}

/// What was added to the flow table in this tick.
struct InsertBudgets: Hashable, Sendable {
  enum Kind: Hashable, Sendable { case new, learned }

  private var all: [Kind: Int] = [:]
  private var own: [Key: Int] = [:]

  private struct Key: Hashable, Sendable {
    var kind: Kind
    var service: Int
  }

  mutating func take(_ kind: Kind, _ service: Int, _ limit: Int) -> Bool {
    if limit == .max { return true }
    let key = Key(kind: kind, service: service)
    guard all[kind, default: 0] < limit, own[key, default: 0] < limit - limit / 2 else { return false }
    all[kind, default: 0] += 1
    own[key, default: 0] += 1
    return true
  }
}
