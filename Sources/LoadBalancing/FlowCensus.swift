// SPDX-License-Identifier: Apache-2.0

/// What a walk through the flow table found.
public struct FlowCensus: Equatable, Sendable {
  /// Entries that are left, live or not.
  public var entries = 0
  /// Entries that were put away: dead, or in the way of others.
  public var cleared = 0
  /// Flows whose entries name a backend, by its number: live, confirmed, and not closing unless renewed a moment ago. A
  /// backend may have more flows: those of stable slots, and those that were silent since their slot changed, have no
  /// entry.
  public var live: [BackendNumber: Int] = [:]
  /// Of backends that drain: for each live flow the seconds since its last packet.
  public var idle: [BackendNumber: [Int]] = [:]
  /// Flows of each backend that were unknown and are not confirmed: strays, or connections that were heard once.
  public var unconfirmed: [BackendNumber: Int] = [:]
  /// Seconds since a flow of a backend that was unknown was last confirmed, or a packet of an unknown flow went to it
  /// that could not be written; absent: never.
  public var lastUnknown: [BackendNumber: Int] = [:]
  /// By pool: slots of which a live flow names another backend than the slot's current.
  public var foreign: [String: Set<Int>] = [:]
  /// Services with a live flow of a backend that is not of their pool.
  public var remembering: Set<VirtualService.Key> = []

  public init() {}

  /// Services whose move from another pool no flow remembers any more.
  public func endedMoves(
    in installed: InstalledState, now: Tick, tickLength: Double
  ) -> Set<VirtualService.Key> {
    let ended = installed.services.values.filter { service in
      guard let move = service.move, let pool = installed.pools[service.service.pool] else { return false }
      return now.since(move.at) > Tick.count(seconds: pool.settle, length: tickLength)
        && !remembering.contains(service.service.key)
    }
    return Set(ended.map(\.service.key))
  }
}
