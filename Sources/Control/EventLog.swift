// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import Synchronization

/// The latest events, and their followers.
///
/// All followers read one ring buffer; each has only a position in it. So the number and the speed of followers affect
/// neither the memory nor the cost of an event. A follower that falls behind by more than the ring holds gets the
/// number of lost events.
final class EventLog: Sendable {
  /// How many events are kept.
  static let capacity = 4096
  /// How many objects of one event are kept.
  static let objectLimit = 512
  /// The largest number of followers.
  static let followerLimit = 32
  /// All types of events.
  static let types = ["health", "backend", "pool", "plan", "config", "interface", "alarm", "daemon"]

  private struct State {
    /// Event n is at (n - 1) % capacity.
    var ring: [Event] = []
    var latest: UInt64 = 0
    var counts: [String: UInt64] = [:]
    var hasEnded = false
    var followers: [ObjectIdentifier: FollowerState] = [:]

    var oldest: UInt64 { latest - UInt64(ring.count) + 1 }

    /// - Parameter numbers: of events that the ring has.
    func events(_ numbers: Range<UInt64>, types: Set<String>) -> [Event] {
      numbers.lazy.map { ring[Int(($0 - 1) % UInt64(EventLog.capacity))] }.filter {
        types.isEmpty || types.contains($0.type)
      }
    }
  }

  /// The state of a follower.
  private struct FollowerState {
    /// The number of the next event for it.
    var next: UInt64
    /// Empty: all.
    var types: Set<String>
    var waiting: CheckedContinuation<Void, Never>?
    /// It was woken and must look for events; there may be none.
    var isWoken = false
  }

  private let state = Mutex(State())
  /// A random number that identifies this run of the daemon, also if another one began within the same second.
  let run = String(UInt64.random(in: .min ... .max), radix: 16)
  /// The start of this run; sequence numbers are unique within a run.
  let startedAt = EventLog.timestamp(Date())

  /// Appends an event. May be called from any thread, and waits for no follower.
  /// - Parameters:
  ///   - object: what the event is about: `web/web1`, `web`, `eth0`.
  ///   - objects: of an alarm about many; the first ``objectLimit`` are kept.
  ///   - by: the user who caused it; nil: the daemon itself.
  func append(
    type: String, object: String, objects: [String]? = nil, old: String? = nil, new: String? = nil,
    reason: String? = nil, by: String? = nil
  ) {
    let woken = state.withLock { state in
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
      return Self.wake(&state) { $0.types.isEmpty || $0.types.contains(type) }
    }
    for follower in woken { follower.resume() }
  }

  /// The number of events of each type since the start.
  var counts: [String: UInt64] { state.withLock { $0.counts } }

  var followerCount: Int { state.withLock { $0.followers.count } }

  /// The events after a number; a gap comes first if the ring no longer has them all.
  /// - Parameters:
  ///   - since: the number; one that is larger than the latest is of an earlier run of the daemon. nil: from the oldest
  ///     event.
  ///   - types: empty: all.
  func events(since: UInt64?, types: Set<String> = []) -> [Event] {
    state.withLock { state in
      let first = Self.first(since: since ?? state.oldest - 1, state)
      let start = max(first, state.oldest)
      let gap = start > first ? [Self.gap(start - first)] : []
      return gap + state.events(start..<state.latest + 1, types: types)
    }
  }

  /// - Parameter since: as in ``events(since:types:)``; nil: only new events.
  /// - Returns: nil if there are ``followerLimit`` followers already.
  func follow(since: UInt64?, types: Set<String> = []) -> EventFollower? {
    let follower = EventFollower(self)
    let hasRoom = state.withLock { state in
      guard state.followers.count < Self.followerLimit else { return false }
      let next = Self.first(since: since ?? state.latest, state)
      state.followers[ObjectIdentifier(follower)] = FollowerState(next: next, types: types)
      return true
    }
    return hasRoom ? follower : nil
  }

  /// Ends all streams after the events that there are. To be called when the daemon stops.
  func end() {
    let woken = state.withLock { state in
      state.hasEnded = true
      return Self.wake(&state) { _ in true }
    }
    for follower in woken { follower.resume() }
  }

  private static func first(since: UInt64, _ state: State) -> UInt64 {
    since > state.latest ? 1 : since + 1
  }

  private static func gap(_ lost: UInt64) -> Event {
    Event(time: timestamp(Date()), type: "gap", lost: lost)
  }

  private static func wake(
    _ state: inout State, where isMeant: (FollowerState) -> Bool
  ) -> [CheckedContinuation<Void, Never>] {
    var woken: [CheckedContinuation<Void, Never>] = []
    for (identity, follower) in state.followers where isMeant(follower) {
      state.followers[identity]?.isWoken = true
      guard let waiting = follower.waiting else { continue }
      state.followers[identity]?.waiting = nil
      woken.append(waiting)
    }
    return woken
  }

  /// RFC 3339, UTC, with milliseconds.
  static func timestamp(_ date: Date) -> String {
    date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}

// MARK: For followers

extension EventLog {
  /// The number of events that a follower looks at in one step.
  private static let batch: UInt64 = 256

  /// The next events for a follower, after its position, which advances; a gap first if it was too slow.
  /// - Returns: nil if there will be no more.
  func nextEvents(for follower: ObjectIdentifier) -> [Event]? {
    state.withLock { state in
      guard let before = state.followers[follower] else { return nil }
      state.followers[follower]?.isWoken = false
      var next = max(before.next, state.oldest)
      var taken = next > before.next ? [Self.gap(next - before.next)] : []
      // Skips events of other types, however many there are.
      while taken.isEmpty, next <= state.latest {
        let end = min(next + Self.batch, state.latest + 1)
        taken += state.events(next..<end, types: before.types)
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
        guard let before = state.followers[follower], !before.isWoken, !state.hasEnded else { return true }
        state.followers[follower]?.waiting = continuation
        return false
      }
      if isDue { continuation.resume() }
    }
  }

  func wake(_ follower: ObjectIdentifier) {
    let waiting = state.withLock { state in
      state.followers[follower]?.isWoken = true
      return state.followers[follower]?.waiting.take()
    }
    waiting?.resume()
  }

  func leave(_ follower: ObjectIdentifier) {
    let waiting = state.withLock { $0.followers.removeValue(forKey: follower)?.waiting }
    waiting?.resume()
  }
}
