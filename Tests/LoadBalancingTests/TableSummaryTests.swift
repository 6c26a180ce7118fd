// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite struct TableSummaryTests {
  @Test func `a table without slots`() {
    let summary = TableSummary(of: [])
    #expect(summary.counts.isEmpty && summary.unsettled == 0)
  }

  @Test(arguments: [[0], [1], [0, 7], [262_143], [1, 262_143], [0, 5, 6, 9]] as [[BackendNumber]])
  func `random tables`(owners: [BackendNumber]) {
    for count in [1, 2, 500] {
      let slots = (0..<count).map { _ in
        Slot(
          current: owners.randomElement()!, previous: owners.randomElement()!,
          state: [.stable, .changed, .settling].randomElement()!, since: Tick(.random(in: 0...9)))
      }
      let summary = TableSummary(of: slots)
      #expect(summary.counts == Dictionary(grouping: slots, by: \.current).mapValues(\.count))
      #expect(summary.unsettled == slots.count { $0.state != .stable })
    }
  }
}
