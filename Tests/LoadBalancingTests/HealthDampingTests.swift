// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Flap damping")
struct HealthDampingTests {
  /// A backend goes down at these seconds (rise 1, fall 1), and comes back as soon as it may; probes pass in between,
  /// one each second. hold 10 s, limit 60 s, memory 600 s.
  struct Row: CustomTestStringConvertible, Sendable {
    var falls: [Int]
    /// When it is up again after each.
    var recoveries: [Int]
    var damping = Damping(hold: .seconds(10), limit: .seconds(60), memory: .seconds(600))
    var testDescription: String { "falls at \(falls)" }
  }

  static let rows = [
    Row(falls: [1], recoveries: [2]),
    Row(falls: [1, 100], recoveries: [2, 110]),
    Row(falls: [1, 100, 200], recoveries: [2, 110, 220]),
    Row(falls: [1, 100, 200, 300, 400, 500], recoveries: [2, 110, 220, 340, 460, 560]),
    // The memory runs from the latest fall.
    Row(falls: [1, 600, 1199], recoveries: [2, 610, 1219]),
    Row(falls: [1, 601], recoveries: [2, 602]),
    Row(falls: [1, 100, 700], recoveries: [2, 110, 701]),
    Row(falls: [1, 3, 5], recoveries: [2, 4, 6], damping: Damping(hold: .zero)),
    Row(
      falls: [1, 100, 200], recoveries: [2, 105, 205],
      damping: Damping(hold: .seconds(10), limit: .seconds(5), memory: .seconds(600))),
  ]

  @Test("Holds grow, end, and are forgotten", arguments: rows)
  func holds(_ row: Row) {
    let check = HealthCheck(kind: .tcp, rise: 1, fall: 1, damping: row.damping)
    var world = HealthWorld(.checked("web", 1, check))
    for second in 1...(row.recoveries.last! + 2) {
      world.probe("b1", passes: !row.falls.contains(second), at: .seconds(second))
    }
    #expect(world.transitions.filter { $0.1.to == .down }.map { Int($0.at.asSeconds) } == row.falls)
    #expect(world.transitions.filter { $0.1.to == .up }.map { Int($0.at.asSeconds) } == row.recoveries)
  }

  @Test("While held it goes up, and says until when; passes in the hold count towards rise")
  func held() {
    let check = HealthCheck(kind: .tcp, rise: 3, fall: 1, damping: Damping(hold: .seconds(10)))
    var world = HealthWorld(.checked("web", 1, check))
    let rounds: [(Int, Bool)] = [
      (1, false), (2, true), (3, true), (4, true), (5, false), (6, false), (7, true),
    ]
    for (second, passes) in rounds { world.probe("b1", passes: passes, at: .seconds(second)) }
    #expect(world.transitions.last { $0.1.to == .down }?.1.heldUntil == .seconds(15))
    #expect(world.state("b1") == .goingUp)
    #expect(world.board.record(of: world.target("b1"))?.heldUntil == .seconds(15))
    for second in 8...14 { world.probe("b1", passes: true, at: .seconds(second)) }
    #expect(world.state("b1") == .goingUp)
    world.probe("b1", passes: true, at: .seconds(15))
    #expect(world.state("b1") == .up)
    #expect(world.board.record(of: world.target("b1"))?.heldUntil == nil)
  }

  @Test("Probes are not hurried while nothing can come of them")
  func calm() {
    let check = HealthCheck(
      kind: .tcp, interval: .seconds(2), rise: 1, fall: 1, fastInterval: .milliseconds(200), jitter: 0,
      damping: Damping(hold: .seconds(10)))
    var world = HealthWorld(.checked("web", 1, check))
    for (second, passes) in [(1, false), (2, true), (3, false), (4, true)] {
      world.probe("b1", passes: passes, at: .seconds(second))
    }
    #expect(world.state("b1") == .goingUp)
    func gap(_ second: Int) -> Duration {
      let now = Duration.seconds(second)
      return world.board.nextProbe(of: world.target("b1"), begun: now, at: now, random: 0) - now
    }
    #expect(gap(4) == .seconds(2))
    #expect(gap(13) == .milliseconds(200))
  }

  @Test("Flapping each second for a minute: damping bounds how often the backend moves")
  func flapping() {
    func moves(_ damping: Damping) -> Int {
      let check = HealthCheck(
        kind: .tcp, interval: .milliseconds(200), rise: 1, fall: 1, jitter: 0, damping: damping)
      var world = HealthWorld(.checked("web", 4, check))
      let before = world.decisions.count
      for second in 1...60 {
        world.failing = second.isMultiple(of: 2) ? [] : ["b1"]
        world.run(until: .seconds(second))
      }
      return world.decisions.count - before
    }
    let damped = moves(Damping())
    let undamped = moves(Damping(hold: .zero))
    print("a minute of flapping each second: \(undamped) plans without damping, \(damped) with its defaults")
    #expect(undamped >= 58)
    // Down at 0, free at 1; down at 2, held for 10; down at about 13, held for 20; at 34, held for 40.
    #expect((7...8).contains(damped))
  }
}
