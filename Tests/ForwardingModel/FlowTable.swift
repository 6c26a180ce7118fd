// SPDX-License-Identifier: Apache-2.0

/// How long an entry lives without a packet, in ticks, where no setting says it.
private let synOnlyIdle = 10
private let closingIdle = 60

extension ForwardingModel {
  func isLive(_ entry: ModelEntry, _ transport: Transport, _ service: ModelService) -> Bool {
    entry.backend != noBackend && entry.generation == backends[entry.backend].generation
      && now - entry.lastSeen <= idleLimit(entry, transport, service)
  }

  private func idleLimit(_ entry: ModelEntry, _ transport: Transport, _ service: ModelService) -> Int {
    if entry.marks.contains(.synOnly) { return synOnlyIdle }
    if !entry.marks.isDisjoint(with: .closing) { return closingIdle }
    return transport == .udp ? service.udpIdle : service.tcpIdle
  }

  mutating func renew(_ entry: ModelEntry, _ packet: Packet) {
    var renewed = entry
    renewed.lastSeen = now
    if packet.kind != .first { renewed.marks = packet.kind.marks(after: entry.marks) }
    entries[packet.flow.number] = renewed
  }

  /// Whether the flow table has the packet's flow now. `replaces`: it had an entry of it, dead or alive.
  mutating func write(_ packet: Packet, _ backend: Int, marks: ModelEntry.Marks, replaces: Bool) -> Bool {
    if !replaces {
      let isNew = packet.kind == .first
      guard budgets.take(isNew ? .new : .learned, packet.service, isNew ? newPerTick : learnedPerTick) else {
        events.overBudget += 1
        return false
      }
      guard entries.count < capacity else {
        events.tableFull += 1
        return false
      }
    }
    entries[packet.flow.number] = ModelEntry(
      backend: backend, generation: backends[backend].generation, lastSeen: now, marks: marks)
    return true
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
