// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("When a plan is made")
struct HealthPromiseTests {
  static func check(
    interval: Duration = .seconds(1), timeout: Duration = .milliseconds(500), rise: Int = 2, fall: Int = 3,
    fast: Duration? = .milliseconds(200)
  ) -> HealthCheck {
    HealthCheck(
      kind: .tcp, interval: interval, timeout: timeout, rise: rise, fall: fall, fastInterval: fast, jitter: 0,
      damping: Damping(hold: .zero))
  }

  @Test("A backend that fails alone is taken out with its last failed probe")
  func alone() throws {
    var world = HealthWorld(.checked("web", 200, Self.check()))
    world.run(until: .seconds(10))
    #expect(world.decisions.count == 1)
    world.failing = ["b7"]
    world.run(until: .seconds(20))
    let down = try #require(world.transitions.first { $0.1.to == .down })
    #expect(world.decisions.count == 2)
    #expect(world.decisions[1].at == down.at)
    #expect(world.decisions[1].1.isInUse.filter { !$0.value }.keys.map(\.backend) == ["b7"])
  }

  @Test("200 backends fail within a second: one decision", arguments: [1, 400])
  func storm(failureTakes milliseconds: Int) {
    var world = HealthWorld(.checked("web", 400, Self.check()))
    world.run(until: .seconds(10))
    world.failing = Set((1...200).map { "b\($0)" })
    world.failureTakes = .milliseconds(milliseconds)
    world.run(until: .seconds(20))
    #expect(world.transitions.count { $0.1.to == .down } == 200)
    #expect(world.decisions.count == 2)
    #expect(world.decisions.last?.1.isInUse.count { !$0.value } == 200)
    #expect(world.brokenPromises.isEmpty)
  }

  @Test(
    "The same with the defaults, where a silent backend has no slack but by jitter", arguments: [1, 1000])
  func stormByDefault(failureTakes milliseconds: Int) {
    var world = HealthWorld(.checked("web", 400, HealthCheck(kind: .tcp)))
    world.jitter = RandomSource(seed: 4)
    world.run(until: .seconds(10))
    world.failing = Set((1...200).map { "b\($0)" })
    world.failureTakes = .milliseconds(milliseconds)
    world.run(until: .seconds(20))
    let count = world.decisions.count - 1
    print("200 backends die at once, failures take \(milliseconds) ms, default timings: \(count) decisions")
    #expect(world.decisions.last?.1.isInUse.count { !$0.value } == 200)
    #expect(count <= (milliseconds == 1 ? 4 : 30))
    #expect(world.brokenPromises.isEmpty)
  }

  @Test("Where nothing hurries the verdicts no decision waits: there is no slack", arguments: [1, 500])
  func noSlack(failureTakes milliseconds: Int) {
    var world = HealthWorld(.checked("web", 100, Self.check(fast: nil)))
    world.run(until: .seconds(10))
    world.failing = Set((1...50).map { "b\($0)" })
    world.failureTakes = .milliseconds(milliseconds)
    world.run(until: .seconds(20))
    #expect(world.decisions.last?.1.isInUse.count { !$0.value } == 50)
    #expect(world.brokenPromises.isEmpty)
  }

  @Test("Backends that only flap let nobody wait beyond the promise")
  func flappers() throws {
    var world = HealthWorld(.checked("web", 4, Self.check()))
    // One of b2 and b3 is going down at any time, and neither gets there.
    for tenth in stride(from: 99, to: 200, by: 2) {
      let at = Duration.milliseconds(100 * tenth)
      world.probe("b2", passes: tenth % 3 == 0, at: at)
      if [103, 105, 107].contains(tenth) { world.probe("b1", passes: false, at: at) }
      world.probe("b3", passes: tenth % 3 == 2, at: at)
    }
    #expect(world.transitions.first { $0.1.to == .down }?.at == .milliseconds(10_700))
    // It first failed at 10.3 s, and has 2 × 1 s + 0.5 s.
    #expect(world.decisions.map(\.at) == [.zero, .milliseconds(12_800)])
  }

  @Test(
    "A dead backend is down within the detection time, whatever is longer, interval or timeout",
    arguments: [(1000, 500, 3), (1000, 1000, 3), (1000, 3000, 3), (500, 60_000, 2), (1000, 3000, 1)])
  func detection(interval: Int, timeout: Int, fall: Int) throws {
    let check = Self.check(
      interval: .milliseconds(interval), timeout: .milliseconds(timeout), fall: fall, fast: nil)
    var longest = Duration.zero
    // The death of b1 comes at each time between two probes.
    for offset in stride(from: 0, to: interval, by: 10) {
      var world = HealthWorld(.checked("web", 2, check))
      let death = Duration.seconds(10) + .milliseconds(offset)
      world.run(until: death)
      world.failing = ["b1"]
      world.failureTakes = check.timeout
      world.run(until: death + check.detection + .seconds(1))
      let down = try #require(world.transitions.first { $0.1.to == .down })
      longest = max(longest, down.at - death)
      #expect(world.decisions.last?.at == down.at)
    }
    #expect(longest <= check.detection && longest > check.detection - .milliseconds(20))
  }

  @Test("With a timeout longer than the interval, a backend that is down waits for others until its deadline")
  func longTimeout() {
    var world = HealthWorld(
      .checked("web", 3, Self.check(interval: .seconds(1), timeout: .seconds(3), fast: nil)))
    func fail(_ name: String, at begun: Duration, taking time: Duration) {
      world.probe(name, passes: false, at: begun, taking: time)
    }
    world.probe("b3", passes: true, at: .seconds(9))
    fail("b1", at: .seconds(10), taking: .seconds(3))
    world.probe("b3", passes: true, at: .seconds(13.1))
    fail("b2", at: .seconds(11), taking: .seconds(3))
    fail("b1", at: .seconds(13), taking: .seconds(3))
    fail("b1", at: .seconds(16), taking: .milliseconds(10))
    #expect(world.state("b1") == .down)
    // b1's deadline is 10 s + 2 × 3 s + 3 s.
    #expect(world.board.nextDecision == .seconds(19))
    fail("b2", at: .seconds(14), taking: .seconds(3))
    fail("b2", at: .seconds(17), taking: .milliseconds(10))
    #expect(world.decisions.map(\.at) == [.zero, .milliseconds(17_010)])
    #expect(world.inUse == ["b3"])
  }

  @Test("Backends that recover are joined for 100 ms at most")
  func recoveries() {
    let names = (1...10).map { "b\($0)" }
    var world = HealthWorld(
      .checked("web", 10, Self.check()), known: Dictionary(uniqueKeysWithValues: names.map { ($0, false) }))
    #expect(world.inUse == [])
    for (number, name) in names.enumerated() {
      world.probe(name, passes: true, at: .seconds(1) + .milliseconds(number))
    }
    for (number, name) in names.enumerated() {
      world.probe(name, passes: true, at: .seconds(2) + .milliseconds(20 * number))
    }
    world.wait(until: .seconds(3))
    // The first is up at 2.00 s, and waits until 2.10 s; the seventh is up at 2.12 s, and the last at 2.18 s, when
    // there is nobody left to wait for.
    #expect(world.decisions.map(\.at) == [.zero, .milliseconds(2100), .milliseconds(2180)])
    #expect(world.inUse.count == 10)
  }

  @Test("A backend that recovers alone does not wait")
  func recoversAlone() {
    var world = HealthWorld(.checked("web", 3, Self.check()), known: ["b1": true, "b2": true, "b3": false])
    world.probe("b3", passes: true, at: .seconds(1))
    world.probe("b3", passes: true, at: .seconds(2))
    #expect(world.decisions.map(\.at) == [.zero, .seconds(2)])
  }

  @Test("Nothing changed: nothing is decided, and nobody need ask again")
  func nothing() {
    var world = HealthWorld(.checked("web", 3, Self.check()))
    world.run(until: .seconds(5))
    #expect(world.decisions.count == 1)
    #expect(world.board.nextDecision == nil)
    var board = HealthBoard()
    #expect(board.nextDecision == nil)
    #expect(board.decide(at: .seconds(1)) == nil)
  }
}

extension HealthWorld {
  /// Backends that were out of use later than promised: the first failed probe's beginning + (fall − 1) × max(interval,
  /// timeout) + timeout, or their last probe's end where that is later; after a doubt, interval + timeout later. Only where
  /// neither floor nor guard keeps them.
  var brokenPromises: [String] {
    guard let check = pool.health.check else { return [] }
    return transitions.compactMap { verdict, transition in
      guard transition.to == .down, transition.from.isHealthy,
        let first = probes[transition.backend.backend]?.runOfFailures(endingAt: verdict)
      else { return nil }
      // Those that were doubted, since no probe passed, go down by one decision.
      let isAfterDoubt =
        check.fall > 1
        && !probes.values.joined().contains {
          // A failure that began before the last pass ended, and ended after it, is where the doubt began.
          $0.passed && $0.ended <= verdict && $0.ended > verdict - Corroboration.doubt + check.timeout
        }
      let promise = max(
        first + max(check.interval, check.timeout) * (check.fall - 1) + check.timeout,
        isAfterDoubt ? verdict + check.interval + check.timeout : verdict)
      let cameBack = transitions.contains {
        $0.1.backend == transition.backend && $0.1.to == .up && $0.at > verdict && $0.at <= promise
      }
      guard promise <= now, !cameBack, let decision = decisions.last(where: { $0.at <= promise })?.1,
        let pool = decision.pools[transition.backend.pool], pool.policy == nil || pool.policy == .withdraw,
        !pool.heldByGuard.contains(transition.backend.backend), decision.isInUse[transition.backend] == true
      else { return nil }
      return "\(transition.backend) by \(promise)"
    }
  }
}

extension [HealthWorld.Answer] {
  /// When the first of the failures in a row began that ends then.
  fileprivate func runOfFailures(endingAt end: Duration) -> Duration? {
    prefix { $0.ended <= end }.reversed().prefix { !$0.passed }.last?.begun
  }
}
