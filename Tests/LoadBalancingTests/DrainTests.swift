// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("The end of a drain")
struct DrainTests {
  private static let drain = Drain(timeout: 1000, quiet: 60)

  @Test(
    "Over when no flow lives and none came for more than the quiet time, counted from the drain's beginning",
    arguments: [
      (live: 0, lastUnknown: nil as Int?, elapsed: 61, isOver: true),
      (live: 0, lastUnknown: nil, elapsed: 60, isOver: false),
      (live: 0, lastUnknown: 61, elapsed: 500, isOver: true),
      (live: 0, lastUnknown: 60, elapsed: 500, isOver: false),
      // What came before the drain tells nothing of those who were silent since.
      (live: 0, lastUnknown: 5000, elapsed: 10, isOver: false),
      (live: 1, lastUnknown: nil, elapsed: 500, isOver: false),
      (live: 1, lastUnknown: 500, elapsed: 5000, isOver: false),
      (live: 0, lastUnknown: 0, elapsed: 5000, isOver: false),
    ])
  func end(live: Int, lastUnknown: Int?, elapsed: Int, isOver: Bool) {
    var census = FlowCensus()
    if live > 0 { census.live[3] = live }
    census.lastUnknown[3] = lastUnknown
    #expect(census.endsDrain(of: 3, after: elapsed, Self.drain) == isOver)
  }

  @Test("A drain takes as long as it takes to confirm a flow, however short the quiet time")
  func shortest() {
    let hasty = Drain(timeout: 1000, quiet: 1)
    #expect(!FlowCensus().endsDrain(of: 3, after: Drain.shortest, hasty))
    #expect(FlowCensus().endsDrain(of: 3, after: Drain.shortest + 1, hasty))
  }

  @Test("Strays that nothing confirmed do not keep a drain open")
  func strays() {
    var census = FlowCensus()
    census.unconfirmed[3] = 5000
    #expect(census.endsDrain(of: 3, after: 61, Self.drain))
  }

  @Test("A leaving backend goes when its drain is over or took too long; others stay")
  func leaving() throws {
    var world = PlannerWorld(backends: 5)
    world.desired.pools[0].drain = Self.drain
    try world.follow()
    let (empty, busy, late) = (try world.number("b1"), try world.number("b2"), try world.number("b3"))
    let fresh = try world.number("b4")
    for name in ["b1", "b2", "b3", "b4"] { world.remove(name) }
    try world.follow()

    var census = FlowCensus()
    census.live = [busy: 1, late: 1]
    let elapsed = [empty: 1000, busy: 1000, late: 1001, try world.number("b5"): 5000]
    #expect(
      census.endedLeaves(in: world.installed, elapsed: elapsed, pools: world.desired.pools) == [empty, late])
    #expect(
      census.endedLeaves(in: world.installed, elapsed: [fresh: 61], pools: []) == [fresh],
      "a pool that is gone drains as by default")
    #expect(
      census.endedLeaves(in: world.installed, elapsed: [late: 7200], pools: []).isEmpty)
    #expect(census.endedLeaves(in: world.installed, elapsed: [late: 7201], pools: []) == [late])
  }
}
