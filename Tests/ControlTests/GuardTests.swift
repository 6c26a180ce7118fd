// SPDX-License-Identifier: Apache-2.0
import Dataplane
import LoadBalancing
import Testing

@testable import Control

@Suite struct PoolFloorTests {
  private func pool(_ states: [AdministrativeState], require: Requirement, weight: Weight = 100)
    -> DesiredState
  {
    let backends = states.enumerated().map { index, state in
      Backend(name: "b\(index)", address: .v4(10, 0, 0, UInt8(index + 1)), weight: weight, state: state)
    }
    return DesiredState(pools: [Pool(name: "web", backends: backends, require: require)])
  }

  private typealias Case = ([AdministrativeState], [AdministrativeState], Requirement, Int?)
  private static let cases: [Case] = [
    // before, after, require, remaining where it is a breach
    ([.ready, .ready], [.ready, .drain], .backends(2), 1),
    ([.ready, .ready], [.ready, .maint], .backends(2), 1), ([.ready, .ready], [.ready], .backends(2), 1),
    ([.ready, .ready, .ready], [.ready, .ready, .drain], .backends(2), nil),
    ([.ready, .ready, .ready], [.ready, .ready, .drain], .percent(67), 2),
    ([.ready, .ready, .ready], [.ready, .ready, .drain], .percent(66), nil),
    ([.ready, .ready], [.ready], .percent(100), 1),
    // It was below already, and becomes no worse.
    ([.ready, .drain], [.ready, .maint], .backends(2), nil),
    ([.drain, .drain], [.ready, .drain], .backends(2), nil),
    ([.ready, .ready], [.drain, .drain], .backends(0), nil),
  ]

  @Test(arguments: cases.indices) func breaches(index: Int) {
    let (before, after, require, remaining) = Self.cases[index]
    let found = FloorBreach.breaches(
      in: pool(after, require: require), since: pool(before, require: require))
    #expect(found.map(\.remaining) == remaining.map { [$0] } ?? [])
  }

  @Test func weightlessBackendsTakeNoNewFlows() {
    let before = pool([.ready], require: .backends(1))
    let found = FloorBreach.breaches(in: pool([.ready], require: .backends(1), weight: 0), since: before)
    #expect(
      found.map(\.description) == [
        "pool web requires 1 backends that take new flows, and 0 would remain"
      ])
  }

  @Test func newPoolsAreNobodysFault() {
    #expect(FloorBreach.breaches(in: pool([], require: .backends(1)), since: DesiredState()) == [])
  }
}

@Suite struct DrainProgressTests {
  private func progress(
    _ flows: Int, lastUnknown: Double?, draining: Double?, age: Double? = 0
  ) -> DrainProgress {
    DrainProgress(flows: flows, unconfirmed: 9, lastUnknown: lastUnknown, draining: draining, age: age)
  }

  @Test func itIsOverWhenNoFlowIsLeftAndNoneTurnedUp() {
    #expect(progress(0, lastUnknown: 61, draining: 100).isOver(quiet: 60))
    #expect(progress(0, lastUnknown: nil, draining: 61).isOver(quiet: 60))
  }

  @Test func itIsNotOverBefore() {
    #expect(!progress(1, lastUnknown: 100, draining: 100).isOver(quiet: 60), "a flow is left")
    #expect(!progress(0, lastUnknown: 59, draining: 100).isOver(quiet: 60), "one turned up")
    #expect(!progress(0, lastUnknown: 1000, draining: 30).isOver(quiet: 60), "it has only begun")
    #expect(!progress(0, lastUnknown: nil, draining: 30).isOver(quiet: 60), "it has only begun")
    #expect(!progress(0, lastUnknown: nil, draining: nil).isOver(quiet: 60), "it does not drain")
    #expect(
      !progress(0, lastUnknown: 100, draining: 100, age: nil).isOver(quiet: 60), "nobody looked")
    #expect(
      !progress(0, lastUnknown: nil, draining: 65, age: 6).isOver(quiet: 60),
      "nobody looked since the quiet time was over")
    #expect(!progress(0, lastUnknown: 65, draining: 100, age: 6).isOver(quiet: 60), "nor here")
  }

  @Test func whatIsTold() {
    #expect(progress(0, lastUnknown: 5, draining: 9).lastNew == 5)
    #expect(progress(0, lastUnknown: 50, draining: 9).lastNew == 9)
    #expect(progress(0, lastUnknown: 50, draining: nil).lastNew == 50)
    #expect(progress(0, lastUnknown: nil, draining: nil).lastNew == nil)
  }
}

@Suite struct UnwrittenFlowsTests {
  @Test func ratesAreBetweenTwoLooks() {
    var unwritten = UnwrittenFlows()
    let start = Moment.now
    unwritten.note(FlowEvents(notWritten: 1000, overBudget: 5), at: start)
    #expect((unwritten.full, unwritten.overBudget) == (0, 0), "what was before is past")
    unwritten.note(FlowEvents(notWritten: 1100, overBudget: 25), at: start.advanced(by: .seconds(10)))
    #expect((unwritten.full, unwritten.overBudget) == (10, 2))
    unwritten.note(FlowEvents(notWritten: 1100, overBudget: 25), at: start.advanced(by: .seconds(20)))
    #expect((unwritten.full, unwritten.overBudget) == (0, 0))
  }
}
