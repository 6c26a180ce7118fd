// SPDX-License-Identifier: Apache-2.0

/// What is known of the flow table.
struct FlowKnowledge: Sendable {
  /// The last walk through the flow table; nil: there was none.
  var census: Census?
  /// Why the last walk found nothing; nil: it found what ``census`` has.
  var trouble: String?
  var unwritten = UnwrittenFlows()
}
