// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// Somebody's place in the events. It is given back with the object, or before, by ``leave()``.
final class EventFollower: Sendable {
  private let log: EventLog
  private var identity: ObjectIdentifier { ObjectIdentifier(self) }

  init(_ log: EventLog) { self.log = log }

  deinit { log.leave(ObjectIdentifier(self)) }

  /// What comes next, up to an instant; empty where nothing came by then.
  /// - Returns: nil where nothing will come any more: the daemon stops, or the follower left.
  func next(until deadline: ContinuousClock.Instant) async -> [Event]? {
    while true {
      guard let events = log.take(identity) else { return nil }
      guard events.isEmpty, deadline > .now else { return events }
      let alarm = Task { [log, identity] in
        try await Task.sleep(until: deadline)
        log.rouse(identity)
      }
      defer { alarm.cancel() }
      await withTaskCancellationHandler {
        await log.wait(identity)
      } onCancel: {
        leave()
      }
    }
  }

  /// Lets nothing come any more. To be called from anywhere.
  func leave() { log.leave(identity) }
}
