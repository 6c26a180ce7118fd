// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing
internal import Logging

/// The report of a change: a line of the log, an event, or both.
struct Notice: Equatable, Sendable {
  struct Line: Equatable, Sendable {
    var level: Logger.Level
    var message: String
    var metadata: [String: String] = [:]
  }

  /// As in ``EventLog/append(type:object:objects:old:new:reason:by:)``.
  struct Entry: Equatable, Sendable {
    var type: String
    var object: String
    var objects: [String]?
    var old: String?
    var new: String?
    var reason: String?
    var by: String?
  }

  var line: Line?
  var event: Entry?

  init(line: Line? = nil, event: Entry? = nil) {
    self.line = line
    self.event = event
  }

  /// A line of the log.
  static func line(_ level: Logger.Level, _ message: String, _ metadata: [String: String] = [:]) -> Notice {
    Notice(line: Line(level: level, message: message, metadata: metadata))
  }

  /// An event.
  static func event(
    _ type: String, _ object: String, objects: [String]? = nil, old: String? = nil, new: String? = nil,
    reason: String? = nil, by: String? = nil
  ) -> Notice {
    Notice(
      event: Entry(type: type, object: object, objects: objects, old: old, new: new, reason: reason, by: by))
  }

  func with(event: Notice) -> Notice { Notice(line: line, event: event.event) }

  /// Writes the line and appends the event.
  func post(to logger: Logger, _ events: EventLog) {
    if let line {
      logger.log(
        level: line.level, "\(line.message)", metadata: line.metadata.mapValues { .string($0) })
    }
    if let event {
      events.append(
        type: event.type, object: event.object, objects: event.objects, old: event.old, new: event.new,
        reason: event.reason, by: event.by)
    }
  }
}

// MARK: Changes

extension Notice {
  /// A line about a change that an operator, health or the daemon itself made.
  /// - Parameters:
  ///   - object: `backend web/b1`, `pool web`, `service www 192.0.2.1:80/tcp`, `limits.flows`
  ///   - asked: the user who caused it, and the reason; nil: the daemon itself.
  static func changed(
    _ object: String, old: String? = nil, new: String, _ asked: Provenance? = nil
  ) -> Notice {
    var metadata = ["object": object, "new": new, "by": asked?.by ?? "sluiced"]
    metadata["old"] = old
    metadata["reason"] = asked?.reason
    return .line(.notice, "changed", metadata)
  }

  /// A change of a backend: a line and an event.
  static func backend(
    _ backend: InstalledState.Backend, old: String? = nil, new: String, _ asked: Provenance? = nil
  ) -> Notice {
    .backend("\(backend.pool)/\(backend.name)", old: old, new: new, asked)
  }

  /// - Parameter name: `web/b1`
  static func backend(_ name: String, old: String? = nil, new: String, _ asked: Provenance? = nil) -> Notice {
    changed("backend \(name)", old: old, new: new, asked)
      .with(event: .event("backend", name, old: old, new: new, reason: asked?.reason, by: asked?.by))
  }

  /// The largest number of lines that one change may add to the log.
  static let mostLines = 200

  /// The same notices with ``mostLines`` lines at most and a line that counts the others. All events stay.
  static func limited(_ notices: [Notice], _ asked: Provenance?) -> [Notice] {
    let lines = notices.count { $0.line != nil }
    guard lines > mostLines else { return notices }
    var kept = 0
    var limited = notices.map { notice in
      guard notice.line != nil else { return notice }
      kept += 1
      return kept > mostLines ? Notice(event: notice.event) : notice
    }
    limited.append(
      .line(
        .notice, "changed",
        [
          "object": "\(lines - mostLines) more", "new": "see `sluice events`", "by": asked?.by ?? "sluiced",
        ]))
    return limited
  }
}
