// SPDX-License-Identifier: Apache-2.0
internal import Dataplane

/// Flows that should have been remembered and were not, per second, between the last two looks.
struct UnwrittenFlows {
  /// Because the flow table was full.
  private(set) var full = 0.0
  /// Because too many came at once.
  private(set) var overBudget = 0.0
  private var last: (at: ContinuousClock.Instant, events: FlowEvents)?

  mutating func note(_ events: FlowEvents, at now: ContinuousClock.Instant = .now) {
    defer { last = (now, events) }
    guard let last else { return }
    let seconds = max(last.at.duration(to: now) / .seconds(1), 0.001)
    full = Double(events.notWritten &- last.events.notWritten) / seconds
    overBudget = Double(events.overBudget &- last.events.overBudget) / seconds
  }
}
