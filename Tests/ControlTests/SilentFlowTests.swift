// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Control

@Suite struct SilentFlowTests {
  private func progress(
    _ flows: Int, idle: [Double] = [], draining: Double? = 400, lastUnknown: Double? = nil
  ) -> DrainProgress {
    DrainProgress(
      flows: flows, unconfirmed: 0, lastUnknown: lastUnknown, draining: draining, age: 0, idle: idle)
  }

  @Test func `flows without packets for longer than stated are silent`() {
    let some = progress(3, idle: [2, 299, 301])
    #expect(some.activeFlows(silentAfter: 300) == 2)
    #expect(!some.isOnlySilent(after: 300, quiet: 60) && some.isOnlySilent(after: 1, quiet: 60))
    #expect(!some.isOver(quiet: 60), "silent ones are flows that are left")
  }

  @Test func `flows whose times nobody noted count as active`() {
    #expect(progress(3).activeFlows(silentAfter: 0) == 3)
    #expect(!progress(3, idle: [400, 400]).isOnlySilent(after: 300, quiet: 60))
  }

  @Test func `only silent ones are left when none turned up lately, either`() {
    let idle = [400.0, 500]
    #expect(progress(2, idle: idle).isOnlySilent(after: 300, quiet: 60))
    #expect(!progress(2, idle: idle, lastUnknown: 30).isOnlySilent(after: 300, quiet: 60))
    #expect(!progress(2, idle: idle, draining: 30).isOnlySilent(after: 300, quiet: 60))
    #expect(!progress(2, idle: idle, draining: nil).isOnlySilent(after: 300, quiet: 60))
    #expect(!progress(0).isOnlySilent(after: 300, quiet: 60) && progress(0).isOver(quiet: 60))
  }
}
