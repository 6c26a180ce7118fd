// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

// What a pool says about changes of its backends.

/// The longest time that anything of a connection can be set to.
private let week = 7 * 86_400

/// How long the flows of a changed slot are remembered one by one.
func readSettle(_ cursor: Cursor) -> Placed<Int>? {
  Placed(cursor.seconds("settle", in: 10...week), cursor)
}

func readDrain(_ cursor: Cursor) -> DrainDraft {
  var draft = DrainDraft()
  guard let fields = cursor.fields(of: "drain", ["timeout", "quiet"]) else { return draft }
  draft.timeout = fields["timeout"].flatMap { Placed($0.seconds("timeout", in: 1...week), $0) }
  draft.quiet = fields["quiet"].flatMap { Placed($0.seconds("quiet", in: 1...3600), $0) }
  return draft
}

/// `N` or `N%`
func readRequire(_ cursor: Cursor) -> Placed<Requirement>? {
  guard let text = cursor.text() else { return nil }
  guard text.hasSuffix("%") else {
    return Placed(cursor.integer("require", in: 0...65_536).map(Requirement.backends), cursor)
  }
  return Placed(cursor.percent("require", in: 0...100).map(Requirement.percent), cursor)
}

func readAffinity(_ cursor: Cursor) -> AffinityDraft {
  var draft = AffinityDraft()
  let keys = ["mode", "learn", "tcp_idle", "udp_idle", "on_gone"]
  guard let fields = cursor.fields(of: "affinity", keys) else { return draft }
  draft.mode = fields["mode"]?.word("mode", as: Affinity.Mode.self)
  draft.learn = fields["learn"].flatMap { Placed($0.seconds("learn", in: 0...week), $0) }
  draft.tcpIdle = fields["tcp_idle"]?.seconds("tcp_idle", in: 10...week)
  draft.udpIdle = fields["udp_idle"].flatMap { Placed($0.seconds("udp_idle", in: 1...86_400), $0) }
  draft.onGone = fields["on_gone"]?.word("on_gone", as: Affinity.OnGone.self)
  return draft
}
