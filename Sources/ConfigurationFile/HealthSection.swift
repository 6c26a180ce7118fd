// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// What pools and `defaults` say of health.

/// Keys of a pool, and of `defaults`.
let healthKeys = ["check", "hysteresis", "on_insufficient", "guard"]

/// - Parameter defaults: what the check need not say itself; nil where this is the defaults.
func readHealth(_ fields: Fields, defaults: CheckDraft?) -> HealthDraft {
  var draft = HealthDraft()
  draft.check = fields["check"].map { readCheck($0, defaults: defaults, needsType: fields.noun == "pool") }
  draft.hysteresis = fields["hysteresis"].flatMap { Placed($0.integer("hysteresis", in: 0...65_536), $0) }
  draft.onInsufficient = fields["on_insufficient"].flatMap {
    Placed($0.word("on_insufficient", as: InsufficientPolicy.self), $0)
  }
  draft.guardPlace = fields.key("guard")
  let bounds = fields["guard"]?.fields(of: "guard", ["share", "interval"])
  draft.guardShare = bounds?["share"]?.percent("share", in: 1...100)
  draft.guardInterval = bounds?["interval"]?.duration("interval", in: .seconds(1) ... .seconds(86_400))
  return draft
}

private let commonKeys = [
  "type", "via", "vips", "port", "interval", "timeout", "rise", "fall", "fast_interval", "jitter", "on_start",
  "damping",
]
private let httpKeys = ["method", "path", "host", "expect", "body", "full_size"]

/// The keys that not every check has.
private let keysByType: KeyValuePairs<CheckType, [String]> = [
  .http: httpKeys, .https: httpKeys + ["tls_verify", "tls_ca"],
  .dns: ["query", "qtype", "transport", "expect", "answer"],
  .udp: ["send", "send_hex", "reply", "reply_hex"], .icmp: ["full_size"],
]

private let checkKeys = keysByType.reduce(into: commonKeys) { keys, entry in
  keys += entry.value.filter { !keys.contains($0) }
}

private func readCheck(_ cursor: Cursor, defaults: CheckDraft?, needsType: Bool) -> CheckDraft {
  var draft = CheckDraft(cursor: cursor)
  guard let fields = cursor.fields(of: "check", checkKeys) else {
    draft.typeIsKnown = false
    return draft
  }
  if let type = fields["type"] {
    draft.type = type.word("type", as: CheckType.self)
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
  let own = commonKeys + (keysByType.first { $0.key == type }?.value ?? [])
  for key in checkKeys where !own.contains(key) {
    let types = keysByType.filter { $0.value.contains(key) }.map(\.key.rawValue)
    fields.key(key)?.error(
      .keyOfOtherType,
      "\"\(key)\" is a key of checks of type \(types.joined(separator: ", "))"
        + (type.map { ", not of type \($0.rawValue)" } ?? ", and this one has no type"),
      expected: own)
  }
  if type == .icmp {
    fields.key("port")?.error(
      .keyOfOtherType, "\"port\" is no key of checks of type icmp: echo requests have no ports",
      expected: own.filter { $0 != "port" })
  }
}

private func readCommon(_ fields: Fields, into draft: inout CheckDraft) {
  draft.way = fields["via"].flatMap { Placed($0.word("via", as: HealthCheck.Way.self), $0) }
  draft.vips = fields["vips"].flatMap(readVIPs)
  draft.port = fields["port"]?.integer("port", in: 1...65_535).map(UInt16.init)
  draft.start = fields["on_start"]?.word("on_start", as: HealthCheck.Start.self)
  draft.timing.interval = fields["interval"]?.duration(
    "interval", in: .milliseconds(100) ... .seconds(3600))
  draft.timing.timeout = fields["timeout"]?.duration("timeout", in: HealthCheck.timeouts)
  draft.timing.rise = fields["rise"]?.integer("rise", in: 1...100)
  draft.timing.fall = fields["fall"]?.integer("fall", in: 1...100)
  draft.timing.fastInterval = fields["fast_interval"]?.duration(
    "fast_interval", in: .milliseconds(100) ... .seconds(3600))
  draft.timing.jitter = fields["jitter"]?.percent("jitter", in: 0...90)
  guard let damping = fields["damping"]?.fields(of: "damping", ["hold", "limit", "memory"]) else { return }
  draft.timing.hold = damping["hold"]?.duration("hold", in: .zero ... .seconds(86_400))
  draft.timing.limit = damping["limit"]?.duration("limit", in: .zero ... .seconds(86_400))
  draft.timing.memory = damping["memory"]?.duration("memory", in: .seconds(1) ... .seconds(7 * 86_400))
}

private func readVIPs(_ cursor: Cursor) -> Placed<[Placed<IPAddress>]>? {
  guard let items = cursor.items() else { return nil }
  guard !items.isEmpty else {
    cursor.error(.emptyList, "the list is empty: without \"vips\" all VIPs of the pool's services are probed")
    return nil
  }
  var first: [IPAddress: Cursor] = [:]
  var vips: [Placed<IPAddress>] = []
  for item in items {
    guard let vip = item.unicastAddress("VIP") else { continue }
    if let other = first[vip] {
      item.error(.duplicateAddress, "VIP \(vip) is listed twice", related: (other, "first given"))
    } else {
      first[vip] = item
      vips.append(Placed(vip, at: item))
    }
  }
  return Placed(vips, at: cursor)
}
