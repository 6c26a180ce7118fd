// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// One walk through the flow table.
struct Census: Equatable, Sendable {
  /// When the walk began. Times of packets in ``found`` are relative to it, and flows that came since are not in it.
  var at: Moment
  var found: FlowCensus
  var id: ReadingID = 0

  func age(at now: Moment) -> Double { at.elapsed(at: now).seconds }
}

extension FlowCensus {
  /// Forgets what it says of backends that fail a condition: their numbers may be other backends' next.
  mutating func keep(where isKept: (BackendNumber) -> Bool) {
    live = live.filter { isKept($0.key) }
    idle = idle.filter { isKept($0.key) }
    unconfirmed = unconfirmed.filter { isKept($0.key) }
    lastUnknown = lastUnknown.filter { isKept($0.key) }
  }
}

/// Walks through the flow table that are wanted or under way, and what follows from the last one.
struct CensusWork: Sendable {
  struct Walk: Sendable {
    var id: ReadingID
    /// Whether slots settle and dead entries are cleared by what it finds.
    var isForTick: Bool
  }

  struct Found: Sendable {
    var id: ReadingID
    var walk: FlowWalkResult
  }

  /// The walk under way; nil: none.
  var underWay: Walk?
  /// Whether a tick wants a walk.
  private(set) var isWantedByTick = false
  /// Requests that wait for a census that is recent enough.
  private(set) var waiting: [RequestID] = []
  /// What slots are to settle by, as soon as no plan is being carried out.
  private(set) var toFollow: Found?
  /// What dead entries are to be cleared by.
  private(set) var toClear: Found?
  private(set) var clearing = Deferred.notWanted

  var isWanted: Bool { underWay == nil && (isWantedByTick || !waiting.isEmpty) }

  mutating func want() {
    if underWay == nil { isWantedByTick = true } else { underWay?.isForTick = true }
  }

  mutating func add(_ id: RequestID) { waiting.append(id) }

  mutating func begin(_ id: ReadingID) {
    underWay = Walk(id: id, isForTick: isWantedByTick)
    isWantedByTick = false
  }

  mutating func takeWaiting() -> [RequestID] {
    defer { waiting = [] }
    return waiting
  }

  /// - Returns: what was to be followed before, and is not any more.
  mutating func follow(_ found: Found) -> ReadingID? {
    defer { toFollow = found }
    return toFollow?.id
  }

  mutating func takeFollowed() -> Found? {
    defer { toFollow = nil }
    return toFollow
  }

  mutating func clear(_ found: Found) {
    toClear = found
    clearing.want()
  }

  mutating func takeCleared() -> Found? {
    clearing = .notWanted
    defer { toClear = nil }
    return toClear
  }
}
