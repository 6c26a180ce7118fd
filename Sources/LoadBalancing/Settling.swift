// SPDX-License-Identifier: Apache-2.0

/// How the slots of a pool come to rest: changed → settling → stable (docs/affinity.md).
public struct Settling: Sendable {
  /// Ticks after which a changed slot settles.
  public var after: UInt32
  /// Backends that are draining or leaving: a slot does not settle while its previous is one of them.
  public var draining: Set<BackendNumber>

  public init(after: UInt32, draining: Set<BackendNumber> = []) {
    self.after = after
    self.draining = draining
  }

  /// Whether no packet sees the slot as changed any more: the packet path's own judgement.
  func hasSettled(_ slot: Slot, at now: Tick) -> Bool {
    slot.state == .settling
      || slot.state == .changed && now.since(slot.since) > after && !draining.contains(slot.previous)
  }

  /// Whether some packet may have seen the slot as settling before a table planned `now` is in force.
  ///
  /// Such a packet's new flow was not written, so it belongs to the slot's current, which must become previous. Early is
  /// harmless: the flows that are given up were silent for nearly the whole time.
  func mayHaveSettled(_ slot: Slot, at now: Tick) -> Bool {
    slot.state == .changed && now.since(slot.since) + Self.margin > after && !draining.contains(slot.previous)
  }

  /// Whether some packet may have taken the slots of a service that moved for settled, as ``mayHaveSettled(_:at:)``.
  func mayHaveSettled(_ move: InstalledState.Service.Move, at now: Tick) -> Bool {
    now.since(move.at) + Self.margin > after
  }

  /// The move, settled for good: also where ``after`` grows, for flows that came since are in no table.
  func noted(_ move: InstalledState.Service.Move, at now: Tick, growingTo later: UInt32)
    -> InstalledState.Service.Move
  {
    guard mayHaveSettled(move, at: now), later > after else { return move }
    var settled = move
    settled.at = Tick(now.value &- later &- 1)
    return settled
  }

  /// The slot with its settling written down where packets may have judged it, so that it stays settled when `after` grows
  /// or its previous begins to drain: flows that came since are in no table.
  func noted(_ slot: Slot, at now: Tick) -> Slot {
    guard mayHaveSettled(slot, at: now) else { return slot }
    var settling = slot
    settling.state = .settling
    return settling
  }

  /// Ticks that may pass between reading the packet path's clock and the table's being in force.
  private static let margin: UInt32 = 5

  /// What time makes of the slots of a table, by index. Current stays: each is one store, which no packet can see half.
  /// - Parameter foreign: slots of which a live flow names another backend than current, by a census that began when no
  ///   packet was under way any more that saw a slot as changed which is settling in `slots`.
  public func rewrites(of slots: [Slot], at now: Tick, foreign: Set<Int>) -> [(index: Int, slot: Slot)] {
    var rewrites: [(index: Int, slot: Slot)] = []
    for (index, slot) in slots.enumerated() where slot.state != .stable {
      if slot.state == .settling {
        if !foreign.contains(index) { rewrites.append((index, Slot(current: slot.current))) }
      } else if hasSettled(slot, at: now) {
        var settling = slot
        settling.state = .settling
        rewrites.append((index, settling))
      }
    }
    return rewrites
  }
}
