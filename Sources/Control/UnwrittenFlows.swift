// SPDX-License-Identifier: Apache-2.0
internal import Dataplane

/// Flows that should have been remembered and were not, per second, between the last two looks.
struct UnwrittenFlows: Equatable, Sendable {
  /// Because the flow table was full.
  private(set) var full = 0.0
  /// Because too many came at once.
  private(set) var overBudget = 0.0
  private var last: Reading?

  private struct Reading: Equatable {
    var at: Moment
    var events: FlowEvents
  }

  /// Packets that could not be written, for whichever reason, as of the last reading; nil: there was none.
  var total: UInt64? { last?.events.unwritten }

  mutating func note(_ events: FlowEvents, at now: Moment = .now) {
    defer { last = Reading(at: now, events: events) }
    guard let last else { return }
    let seconds = max(last.at.elapsed(at: now).seconds, 0.001)
    full = Double(events.notWritten &- last.events.notWritten) / seconds
    overBudget = Double(events.overBudget &- last.events.overBudget) / seconds
  }
}
