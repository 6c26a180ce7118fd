// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import Synchronization

/// The latest events, and those who follow them.
///
/// Nobody who follows has a queue of his own, but a place in the one ring: however many there are and however slow they
/// are, they cost no memory, and an event costs the same. Who falls behind by more than the ring holds is told how much
/// he lost.
final class EventLog: Sendable {
  /// How many events are kept.
  static let capacity = 4096
  /// How many objects of one event are kept.
  static let objectLimit = 512
  /// How many may follow at a time.
  static let followerLimit = 32
  /// All types, for those who ask for one.
  static let types = ["health", "backend", "pool", "plan", "config", "interface", "alarm", "daemon"]

  private struct State {
    /// Event n is at (n - 1) % capacity.
    var ring: [Event] = []
    var latest: UInt64 = 0
    var counts: [String: UInt64] = [:]
    var hasEnded = false
    var followers: [ObjectIdentifier: Place] = [:]

    var oldest: UInt64 { latest - UInt64(ring.count) + 1 }

    /// - Parameter numbers: of events that the ring has.
    func events(_ numbers: Range<UInt64>, types: Set<String>) -> [Event] {
      numbers.lazy.map { ring[Int(($0 - 1) % UInt64(EventLog.capacity))] }.filter {
        types.isEmpty || types.contains($0.type)
      }
    }
  }

  /// Where a follower is.
  private struct Place {
    /// The number of the event that it is to get next.
    var next: UInt64
    /// Empty: all.
    var types: Set<String>
    var waiting: CheckedContinuation<Void, Never>?
    /// It is to look, though there may be nothing for it.
    var isRoused = false
  }

  private let state = Mutex(State())
  /// Random; tells this run of the daemon from every other, also from one that began within the same second.
  let run = String(UInt64.random(in: .min ... .max), radix: 16)
  /// What tells this sequence of numbers from that of another run of the daemon.
  let startedAt = EventLog.timestamp(Date())

  /// Notes an event. To be called from anywhere; waits for nobody who follows.
  /// - Parameters:
  ///   - object: what it is about: `web/web1`, `web`, `eth0`.
  ///   - objects: of an alarm about many; the first ``objectLimit`` are kept.
  ///   - by: who asked for it; nil: the daemon by itself.
  func append(
    type: String, object: String, objects: [String]? = nil, old: String? = nil, new: String? = nil,
    reason: String? = nil, by: String? = nil
  ) {
    let roused = state.withLock { state in
      state.latest += 1
      // The time is taken here, so that it follows the numbers.
      let event = Event(
        seq: state.latest, time: Self.timestamp(Date()), type: type, object: object,
        objects: objects.map { Array($0.prefix(Self.objectLimit)) }, old: old, new: new, reason: reason,
        by: by)
      if state.ring.count < Self.capacity {
        state.ring.append(event)
      } else {
        state.ring[Int((state.latest - 1) % UInt64(Self.capacity))] = event
      }
      state.counts[type, default: 0] += 1
      return Self.rouse(&state) { $0.types.isEmpty || $0.types.contains(type) }
    }
    for follower in roused { follower.resume() }
  }

  /// How many there were of each type since the start.
  var counts: [String: UInt64] { state.withLock { $0.counts } }

  var followerCount: Int { state.withLock { $0.followers.count } }

  /// What the ring has after an event; a gap comes first where it no longer has them all.
  /// - Parameters:
  ///   - since: the event's number; one that there was not yet is from a run of the daemon before this one. nil: from
  ///     the oldest that there is.
  ///   - types: empty: all.
  func events(since: UInt64?, types: Set<String> = []) -> [Event] {
    state.withLock { state in
      let first = Self.first(since: since ?? state.oldest - 1, state)
      let start = max(first, state.oldest)
      let gap = start > first ? [Self.gap(start - first)] : []
      return gap + state.events(start..<state.latest + 1, types: types)
    }
  }

  /// - Parameter since: as in ``events(since:types:)``; nil: only what comes from now on.
  /// - Returns: nil where as many follow as may.
  func follow(since: UInt64?, types: Set<String> = []) -> EventFollower? {
    let follower = EventFollower(self)
    let hasRoom = state.withLock { state in
      guard state.followers.count < Self.followerLimit else { return false }
      let next = Self.first(since: since ?? state.latest, state)
      state.followers[ObjectIdentifier(follower)] = Place(next: next, types: types)
      return true
    }
    return hasRoom ? follower : nil
  }

  /// Lets all who follow get what there is, and no more. To be called when the daemon stops.
  func end() {
    let roused = state.withLock { state in
      state.hasEnded = true
      return Self.rouse(&state) { _ in true }
    }
    for follower in roused { follower.resume() }
  }

  private static func first(since: UInt64, _ state: State) -> UInt64 {
    since > state.latest ? 1 : since + 1
  }

  private static func gap(_ lost: UInt64) -> Event {
    Event(time: timestamp(Date()), type: "gap", lost: lost)
  }

  private static func rouse(
    _ state: inout State, where isMeant: (Place) -> Bool
  ) -> [CheckedContinuation<Void, Never>] {
    var roused: [CheckedContinuation<Void, Never>] = []
    for (follower, place) in state.followers where isMeant(place) {
      state.followers[follower]?.isRoused = true
      guard let waiting = place.waiting else { continue }
      state.followers[follower]?.waiting = nil
      roused.append(waiting)
    }
    return roused
  }

  /// RFC 3339, UTC, with milliseconds.
  static func timestamp(_ date: Date) -> String {
    date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}

// MARK: For followers

extension EventLog {
  /// How many events a follower takes at once.
  private static let batch: UInt64 = 256

  /// Takes what is next for a follower; a gap first where it was too slow.
  /// - Returns: nil where nothing will come any more.
  func take(_ follower: ObjectIdentifier) -> [Event]? {
    state.withLock { state in
      guard let place = state.followers[follower] else { return nil }
      state.followers[follower]?.isRoused = false
      var next = max(place.next, state.oldest)
      var taken = next > place.next ? [Self.gap(next - place.next)] : []
      // Past what is of other types, however much there is.
      while taken.isEmpty, next <= state.latest {
        let end = min(next + Self.batch, state.latest + 1)
        taken += state.events(next..<end, types: place.types)
        next = end
      }
      state.followers[follower]?.next = next
      return taken.isEmpty && state.hasEnded ? nil : taken
    }
  }

  /// Waits until there may be something for a follower.
  func wait(_ follower: ObjectIdentifier) async {
    await withCheckedContinuation { continuation in
      let isDue = state.withLock { state in
        guard let place = state.followers[follower], !place.isRoused, !state.hasEnded else { return true }
        state.followers[follower]?.waiting = continuation
        return false
      }
      if isDue { continuation.resume() }
    }
  }

  func rouse(_ follower: ObjectIdentifier) {
    let waiting = state.withLock { state in
      state.followers[follower]?.isRoused = true
      return state.followers[follower]?.waiting.take()
    }
    waiting?.resume()
  }

  func leave(_ follower: ObjectIdentifier) {
    let waiting = state.withLock { $0.followers.removeValue(forKey: follower)?.waiting }
    waiting?.resume()
  }
}
