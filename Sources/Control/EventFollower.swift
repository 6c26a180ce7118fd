// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// A follower of the event log. It ends with the object, or before, by ``leave()``.
final class EventFollower: Sendable {
  private let log: EventLog
  private var identity: ObjectIdentifier { ObjectIdentifier(self) }

  init(_ log: EventLog) { self.log = log }

  deinit { log.leave(ObjectIdentifier(self)) }

  /// The next events; empty if there is none until the deadline.
  /// - Returns: nil if there will be no more: the daemon stops, or the follower left.
  func next(until deadline: ContinuousClock.Instant) async -> [Event]? {
    while true {
      guard let events = log.nextEvents(for: identity) else { return nil }
      guard events.isEmpty, deadline > .now else { return events }
      let alarm = Task { [log, identity] in
        try await Task.sleep(until: deadline)
        log.wake(identity)
      }
      defer { alarm.cancel() }
      await withTaskCancellationHandler {
        await log.wait(identity)
      } onCancel: {
        leave()
      }
    }
  }

  /// Ends the stream. May be called from any thread.
  func leave() { log.leave(identity) }
}
