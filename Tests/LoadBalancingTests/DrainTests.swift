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
    #expect(isDrainOver(by: census, after: elapsed, Self.drain) == isOver)
  }

  @Test("A drain takes as long as it takes to confirm a flow, however short the quiet time")
  func shortest() {
    let hasty = Drain(timeout: 1000, quiet: 1)
    #expect(!isDrainOver(by: FlowCensus(), after: Drain.shortest, hasty))
    #expect(isDrainOver(by: FlowCensus(), after: Drain.shortest + 1, hasty))
  }

  @Test("Strays that nothing confirmed do not keep a drain open")
  func strays() {
    var census = FlowCensus()
    census.unconfirmed[3] = 5000
    #expect(isDrainOver(by: census, after: 61, Self.drain))
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
    func ended(_ elapsed: [BackendNumber: Int], _ pools: [Pool] = []) -> Set<BackendNumber> {
      let drains = Dictionary(uniqueKeysWithValues: pools.map { ($0.name, $0.drain) })
      return world.installed.endedLeaves(by: census, age: 0, draining: elapsed.mapValues(Double.init)) {
        drains[$0] ?? Drain()
      }
    }
    #expect(ended(elapsed, world.desired.pools) == [empty, late])
    #expect(ended([fresh: 61]) == [fresh], "a pool that is gone drains as by default")
    #expect(ended([late: 7200]).isEmpty)
    #expect(ended([late: 7201]) == [late])
  }

  @Test("What came after the census is not known, and an old census ends no drain")
  func age() throws {
    let census = FlowCensus()
    func isOver(age: Double) -> Bool {
      DrainProgress(of: 3, by: census, age: age, draining: 100).isOver(quiet: 60)
    }
    #expect(isOver(age: 39) && !isOver(age: 40))
    #expect(!DrainProgress(of: 3, by: nil, age: 0, draining: 100).isOver(quiet: 60))
    #expect(!DrainProgress(of: 3, by: census, age: 0, draining: nil).isOver(quiet: 60))
  }

  private func isDrainOver(by census: FlowCensus, after elapsed: Int, _ drain: Drain) -> Bool {
    DrainProgress(of: 3, by: census, age: 0, draining: Double(elapsed)).isOver(quiet: drain.quiet)
  }
}
