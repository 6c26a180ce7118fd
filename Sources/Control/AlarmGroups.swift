// SPDX-License-Identifier: Apache-2.0

/// Many alarms of one code are one alarm: a route that goes takes the way to hundreds of backends along.
extension Reconciler.Alarm {
  /// As many alarms of one code as stay apart.
  static let mostApart = 3
  /// How many alarms of a group are named in its message.
  private static let examples = 3

  var identity: Identity { Identity(code: code, object: object) }

  /// In the order given; a group is where its first alarm was.
  static func grouped(_ alarms: [Self]) -> [Self] {
    let byCode = Dictionary(grouping: alarms, by: \.code)
    var told: Set<String> = []
    return alarms.compactMap { alarm in
      guard let group = byCode[alarm.code], group.count > mostApart else { return alarm }
      guard told.insert(alarm.code).inserted else { return nil }
      var one = alarm
      one.objects = group.map(\.object)
      one.since = group.map(\.since).min() ?? alarm.since
      one.message = summary(group.map(\.message))
      return one
    }
  }

  /// Alone where they are few, together where they are many.
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
