// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

extension ForwarderMaps {
  /// Every verdict with what it counted, in the order of the ABI.
  func verdictCounts() throws(DataplaneError) -> [VerdictCount] {
    let values = try inKernel { () throws(BPFError) in try verdicts.lookupAll() }
    return (0..<verdict.VERDICT_COUNT.rawValue).compactMap { raw in
      verdict(rawValue: raw).map {
        VerdictCount(name: $0.name, verdictClass: Self.class(of: $0), count: Self.sum(values[Int(raw)]))
      }
    }
  }

  private static func `class`(of verdict: verdict) -> VerdictCount.Class {
    switch verdict_class(verdict) {
    case .VERDICT_CLASS_FORWARDED: .forwarded
    case .VERDICT_CLASS_PASSED: .passed
    case .VERDICT_CLASS_ANSWERED: .answered
    default: .dropped
    }
  }

  /// What became of flows on slots that remember.
  func flowEventCounts() throws(DataplaneError) -> FlowEvents {
    let values = try inKernel { () throws(BPFError) in try flowEvents.lookupAll() }
    func count(_ event: flow_event) -> UInt64 { values[Int(event.rawValue)].reduce(0, &+) }
    return FlowEvents(
      found: count(.FLOW_FOUND), started: count(.FLOW_STARTED), learned: count(.FLOW_LEARNED),
      toPrevious: count(.FLOW_TO_PREVIOUS), notWritten: count(.FLOW_NOT_WRITTEN),
      overBudget: count(.FLOW_OVER_BUDGET))
  }

  /// What each pair counted for its present owner.
  func pairTotals(_ pairs: Range<Int>) throws(DataplaneError) -> [Counter] {
    guard !pairs.isEmpty else { return [] }
    let range = UInt32(pairs.lowerBound)..<UInt32(pairs.upperBound)
    let (counted, offsets) = try inKernel { () throws(BPFError) in
      (try pairCounters.lookup(range), try pairOffsets.lookup(range))
    }
    return offsets.indices.map { Self.sum(counted[$0]) + Counter(offsets[$0]) }
  }

  fileprivate static func sum(_ perCPU: some Sequence<counter>) -> Counter {
    perCPU.reduce(Counter()) { $0 + Counter($1) }
  }
}

extension Forwarder {
  /// Entries in the flow table. Walks it.
  public func flowCount() throws(DataplaneError) -> Int {
    try inKernel { () throws(BPFError) in try maps.flows.entries().count }
  }

  /// Lets pairs read as the given totals from now on. The program's counters are never written: an offset is.
  func setPairs(_ totals: [(pair: Int, total: Counter)]) throws(DataplaneError) {
    for run in Self.runs(totals) {
      let pairs = UInt32(run[run.startIndex].pair)..<UInt32(run[run.startIndex].pair + run.count)
      let (counted, offsets) = try inKernel { () throws(BPFError) in
        (try maps.pairCounters.lookup(pairs), try maps.pairOffsets.lookup(pairs))
      }
      for (index, (pair, total)) in run.enumerated() {
        let offset = total - ForwarderMaps.sum(counted[index])
        guard offset != Counter(offsets[index]) else { continue }
        try inKernel { () throws(BPFError) in try maps.pairOffsets.update(UInt32(pair), to: offset.abi) }
      }
    }
  }

  /// Pieces in which each pair is the one after the pair before it.
  private static func runs(_ totals: [(pair: Int, total: Counter)]) -> [ArraySlice<
    (pair: Int, total: Counter)
  >] {
    var runs: [ArraySlice<(pair: Int, total: Counter)>] = []
    var start = 0
    for index in totals.indices
    where index + 1 == totals.count || totals[index + 1].pair != totals[index].pair + 1 {
      runs.append(totals[start...index])
      start = index + 1
    }
    return runs
  }
}
