// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// Keys about health, of pools and of `defaults`.

func readHealth(_ fields: Fields, defaults: CheckDraft?) -> HealthDraft {
  var draft = HealthDraft()
  draft.check = fields["check"].map {
    readCheck($0, defaults: defaults, needsType: fields.section.noun == "pool")
  }
  draft.hysteresis = fields["hysteresis"].flatMap { Located($0.integer(), $0) }
  draft.onInsufficient = fields["on_insufficient"].flatMap {
    Located($0.word(as: InsufficientPolicy.self), $0)
  }
  draft.guardLocation = fields.key("guard")
  let bounds = fields["guard"]?.fields()
  draft.guardShare = bounds?["share"]?.percent()
  draft.guardInterval = bounds?["interval"]?.duration()
  return draft
}

private func readCheck(_ cursor: Cursor, defaults: CheckDraft?, needsType: Bool) -> CheckDraft {
  var draft = CheckDraft(cursor: cursor)
  guard let fields = cursor.fields() else {
    draft.typeIsKnown = false
    return draft
  }
  if let type = fields["type"] {
    draft.type = type.word(as: CheckType.self)
    draft.typeCursor = type
    draft.typeIsKnown = draft.type != nil
  } else if let defaults, defaults.type != nil || !defaults.typeIsKnown {
    draft.type = defaults.type
    draft.typeIsKnown = defaults.typeIsKnown
  } else if needsType {
    fields.reportMissing(["type"])
    draft.typeIsKnown = false
  }
  readCommon(fields, into: &draft)
  guard draft.typeIsKnown else { return draft }
  reportKeysOfOtherTypes(fields, than: draft.type)
  readQuestion(fields, into: &draft, isInherited: defaults?.type == draft.type)
  return draft
}

private func reportKeysOfOtherTypes(_ fields: Fields, than type: CheckType?) {
  let keys = KeyTable.checkSection.keys
  let isOwn = { (key: ConfigurationKey) in
    key.checkTypes.isEmpty || (type?.probe).map(key.checkTypes.contains) == true
  }
  let own = keys.filter(isOwn).map(\.name)
  for key in keys where !isOwn(key) {
    let types = key.checkTypes.map(\.rawValue)
    fields.key(key.name)?.error(
      .keyOfOtherType,
      "\"\(key.name)\" is a key of checks of type \(types.joined(separator: ", "))"
        + (type.map { ", not of type \($0.rawValue)" } ?? ", and this one has no type"),
      expected: own)
  }
  if type == .probe(.icmp) {
    fields.key("port")?.error(
      .keyOfOtherType, "\"port\" is no key of checks of type icmp: echo requests have no ports",
      expected: own.filter { $0 != "port" })
  }
}

private func readCommon(_ fields: Fields, into draft: inout CheckDraft) {
  draft.via = fields["via"].flatMap { Located($0.word(as: HealthCheck.Via.self), $0) }
  draft.vips = fields["vips"].flatMap(readVIPs)
  draft.port = fields["port"]?.integer().map(UInt16.init)
  draft.start = fields["on_start"]?.word(as: HealthCheck.Start.self)
  draft.timing.interval = fields["interval"]?.duration()
  draft.timing.timeout = fields["timeout"]?.duration()
  draft.timing.rise = fields["rise"]?.integer()
  draft.timing.fall = fields["fall"]?.integer()
  draft.timing.fastInterval = fields["fast_interval"]?.duration()
  draft.timing.jitter = fields["jitter"]?.percent()
  guard let damping = fields["damping"]?.fields() else { return }
  draft.timing.hold = damping["hold"]?.duration()
  draft.timing.limit = damping["limit"]?.duration()
  draft.timing.memory = damping["memory"]?.duration()
}

private func readVIPs(_ cursor: Cursor) -> Located<[Located<IPAddress>]>? {
  guard let items = cursor.items() else { return nil }
  guard !items.isEmpty else {
    cursor.error(.emptyList, "the list is empty: without \"vips\" all VIPs of the pool's services are probed")
    return nil
  }
  let vips = items.values { Located($0.unicastAddress(), $0) }
  let repeated = repetitions(in: vips)
  for (vip, first) in repeated {
    vip.cursor.error(
      .duplicateAddress, "VIP \(vip.value) is listed twice", related: (first.cursor, "first given"))
  }
  var seen: Set<IPAddress> = []
  let unique = repeated.isEmpty ? vips : vips.filter { seen.insert($0.value).inserted }
  return Located(unique, at: cursor)
}
