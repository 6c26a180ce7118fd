// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

// Keys of pools and services about changes of backends.

/// How long the flows of a changed slot are remembered one by one.
func readSettle(_ cursor: Cursor) -> Located<Int>? {
  Located(cursor.seconds(), cursor)
}

func readDrain(_ cursor: Cursor) -> DrainDraft {
  var draft = DrainDraft()
  guard let fields = cursor.fields() else { return draft }
  draft.timeout = fields["timeout"].flatMap { Located($0.seconds(), $0) }
  draft.quiet = fields["quiet"].flatMap { Located($0.seconds(), $0) }
  return draft
}

/// `N` or `N%`
func readRequire(_ cursor: Cursor) -> Located<Requirement>? {
  guard let text = cursor.text() else { return nil }
  guard text.hasSuffix("%") else {
    return Located(cursor.integer().map(Requirement.backends), cursor)
  }
  return Located(cursor.percent(in: 0...100).map(Requirement.percent), cursor)
}

func readAffinity(_ cursor: Cursor) -> AffinityDraft {
  var draft = AffinityDraft()
  guard let fields = cursor.fields() else { return draft }
  draft.mode = fields["mode"]?.word(as: Affinity.Mode.self)
  draft.learn = fields["learn"].flatMap { Located($0.seconds(), $0) }
  draft.tcpIdle = fields["tcp_idle"]?.seconds()
  draft.udpIdle = fields["udp_idle"].flatMap { Located($0.seconds(), $0) }
  draft.onGone = fields["on_gone"]?.word(as: Affinity.OnGone.self)
  return draft
}
