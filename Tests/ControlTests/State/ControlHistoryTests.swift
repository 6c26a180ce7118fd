// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import Control

struct ControlHistoryTests {
  /// `SLUICE_SEED` repeats one history. `SLUICE_HISTORIES` is how many there are; 250 are 100,000 steps.
  private static var seeds: [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["SLUICE_SEED"].flatMap({ UInt64($0) }) { return [seed] }
    let first = UInt64.random(in: 0...1_000_000_000)
    return (0..<(environment["SLUICE_HISTORIES"].flatMap { UInt64($0) } ?? 12)).map { first + $0 }
  }

  @Test func `random histories end as a fresh start on the same configuration does`() {
    let seeds = Self.seeds
    print("control histories: seeds \(seeds[0]) to \(seeds[seeds.count - 1])")
    var steps = 0
    for seed in seeds {
      var history = ControlHistory(seed: seed)
      for _ in 0..<400 { history.step() }
      steps += history.steps
      history.quiesce()
      let state = history.world.state
      let fresh = history.restarted()
      let view = state.view
      #expect(view.forwarding.isFulfilled, "seed \(seed)")
      #expect(view.forwarding.applyTrouble == nil, "seed \(seed)")
      #expect(view.overrides.inForce == history.world.saved, "seed \(seed)")
      #expect(view.forwarding.installed == history.world.kernel, "seed \(seed)")
      #expect(view.forwarding.desired == fresh.world.state.view.forwarding.desired, "seed \(seed)")
      let installed = view.forwarding.installed
      #expect(installed.index == InstalledState(backends: installed.backends).index, "seed \(seed)")
      #expect(history.shape == fresh.shape, "seed \(seed)")
      #expect(state.kernel.readings.count == 0 && state.kernel.census.waiting.isEmpty, "seed \(seed)")
      #expect(state.changes.current == nil && state.changes.waiting.isEmpty, "seed \(seed)")
      let replies = Dictionary(grouping: history.world.replies.map(\.id), by: \.self)
      #expect(
        replies.filter { $0.key != ControlState.startID }.allSatisfy { $0.value.count == 1 }, "seed \(seed)")
      #expect(replies.filter { $0.key != ControlState.startID }.count >= history.requests, "seed \(seed)")
    }
    print("control histories: \(steps) steps")
  }
}
