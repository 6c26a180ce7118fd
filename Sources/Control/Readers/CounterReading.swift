// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// Counters of the data plane, read at one moment beside a snapshot.
struct CounterReading: Sendable {
  var verdicts: [VerdictCount] = []
  var flowEvents = FlowEvents()
  var forwarded: [ForwardedRun] = []
  /// Packets of probes by what became of them.
  var probePackets: [String: UInt64] = [:]
}

extension Snapshot {
  /// The totals with what a reading adds. The state itself takes readings in at ticks.
  func forwarded(_ counters: CounterReading) -> ForwardedTotals {
    var totals = history.forwarded
    totals.note(counters.forwarded, forwarding.installed)
    return totals
  }
}
