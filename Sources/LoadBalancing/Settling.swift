// SPDX-License-Identifier: Apache-2.0

/// When changed slots of a pool become settling, and settling slots stable (docs/affinity.md).
public struct Settling: Sendable {
  /// Ticks after which a changed slot settles.
  public var after: UInt32
  /// Backends that are draining or leaving: a slot does not settle while its previous is one of them.
  public var draining: Set<BackendNumber>

  public init(after: UInt32, draining: Set<BackendNumber> = []) {
    self.after = after
    self.draining = draining
  }

  /// Whether packets treat the slot as settling now. The packet path decides by the same rule.
  func hasSettled(_ slot: Slot, at now: Tick) -> Bool {
    slot.state == .settling
      || slot.state == .changed && now.since(slot.since) > after && !draining.contains(slot.previous)
  }

  /// Whether some packet may have seen the slot as settling before a table planned `now` is in force.
  ///
  /// A new flow of such a packet was not recorded, so it belongs to the slot's current backend, which must become
  /// previous. A result that is true too early is harmless: the flows that are lost were silent for nearly the whole
  /// time.
  func mayHaveSettled(_ slot: Slot, at now: Tick) -> Bool {
    slot.state == .changed && now.since(slot.since) + Self.margin > after && !draining.contains(slot.previous)
  }

  /// Whether some packet may have treated the move of a service as settled, as ``mayHaveSettled(_:at:)`` for a slot.
  func mayHaveSettled(_ move: InstalledState.Service.Move, at now: Tick) -> Bool {
    now.since(move.at) + Self.margin > after
  }

  /// The move, with an earlier time if it may have settled, so that it stays settled when `after` grows to `later`:
  /// flows that began since then were not recorded.
  func noted(_ move: InstalledState.Service.Move, at now: Tick, growingTo later: UInt32)
    -> InstalledState.Service.Move
  {
    guard mayHaveSettled(move, at: now), later > after else { return move }
    var settled = move
    settled.at = Tick(now.value &- later &- 1)
    return settled
  }

  /// The slot, settling if packets may have seen it so. It then stays settling when `after` grows or its previous
  /// backend begins to drain: flows that began since then were not recorded.
  func noted(_ slot: Slot, at now: Tick) -> Slot {
    guard mayHaveSettled(slot, at: now) else { return slot }
    var settling = slot
    settling.state = .settling
    return settling
  }

  /// Ticks that may pass from reading the packet path's clock until the table is in force.
  private static let margin: UInt32 = 5

  /// Slots that become settling or stable as time passes, by index. The current backend stays. Each is written by one
  /// store, so no packet sees half of it.
  /// - Parameter foreign: slots of which a live flow names another backend than current. The census must have begun
  ///   after the last packet ended that saw a slot as changed which is settling in `slots`.
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
