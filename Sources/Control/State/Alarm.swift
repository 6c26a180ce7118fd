// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Something that an operator should look at. `docs/alarms.md` has a table of all codes.
struct Alarm: Equatable, Sendable {
  enum Code: String, CaseIterable, Sendable {
    case advertisedRoute = "advertised-route"
    case checksDoubted = "checks-doubted"
    case checksNotStarted = "checks-not-started"
    case detached
    case flowTableFull = "flow-table-full"
    case flowsNotWritten = "flows-not-written"
    case healthGuard = "health-guard"
    case interfaceDown = "interface-down"
    case interfaceMissing = "interface-missing"
    case interfaceRenamed = "interface-renamed"
    case lowMTU = "low-mtu"
    case mapsDamaged = "maps-damaged"
    case noNextHop = "no-next-hop"
    case notApplied = "not-applied"
    case notAttached = "not-attached"
    case notChecked = "not-checked"
    case notEthernet = "not-ethernet"
    case notListening = "not-listening"
    case overrides
    case overridesSetAside = "overrides-set-aside"
    case pinsRemoved = "pins-removed"
    case poolEmpty = "pool-empty"
    case poolInsufficient = "pool-insufficient"
    case reloadFailed = "reload-failed"
  }

  /// Identifies an alarm. An alarm whose message changes stays the same alarm.
  struct Identity: Hashable, Sendable {
    var code: Code
    var object: String
  }

  var code: Code
  var message: String
  /// What the alarm is about; of a group, the first object.
  var object: String
  /// Everything that the alarm is about.
  var objects: [String]
  var cure: String
  /// When the alarm was raised; nil: it is not raised yet.
  var since: Moment?

  init(_ code: Code, _ object: String, _ message: String, cure: String, since: Moment? = nil) {
    self.code = code
    self.message = message
    self.object = object
    objects = [object]
    self.cure = cure
    self.since = since
  }

  var identity: Identity { Identity(code: code, object: object) }
}

// MARK: Groups

/// Many alarms of one code are shown as one: the loss of a route affects hundreds of backends.
extension Alarm {
  /// Up to this many alarms of one code are shown separately.
  static let mostApart = 3
  /// How many alarms of a group are quoted in its message.
  private static let examples = 3

  /// In the order given; a group takes the position of its first alarm.
  static func grouped(_ alarms: [Alarm]) -> [Alarm] {
    let byCode = Dictionary(grouping: alarms, by: \.code)
    var shown: Set<Code> = []
    return alarms.compactMap { alarm in
      guard let group = byCode[alarm.code], group.count > mostApart else { return alarm }
      guard shown.insert(alarm.code).inserted else { return nil }
      var one = alarm
      one.objects = group.map(\.object)
      one.since = group.compactMap(\.since).min { $0.uptime < $1.uptime } ?? alarm.since
      one.message = summary(group.map(\.message))
      return one
    }
  }

  /// Few objects one by one, many together.
  static func parts(_ objects: [String]) -> [[String]] {
    objects.count > mostApart ? [objects] : objects.map { [$0] }
  }

  /// `300 alarms: web/b1: no route; web/b2: no route; web/b3: no route; and 297 more`
  static func summary(_ texts: [String]) -> String {
    let rest = texts.count - examples
    return "\(texts.count) alarms: " + texts.prefix(examples).joined(separator: "; ")
      + (rest > 0 ? "; and \(rest) more" : "")
  }
}
