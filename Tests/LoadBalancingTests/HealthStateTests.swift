// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Health of one backend")
struct HealthStateTests {
  /// Probes of one backend a second apart, and its state after each. rise 2, fall 3.
  struct History: CustomTestStringConvertible, Sendable {
    var name: String
    /// `+` passed, `-` failed.
    var probes: String
    /// A letter each: Up, down (D), going down (d), going up (u).
    var states: String
    var rise = 2
    var fall = 3
    var startsUp = true
    var testDescription: String { name }
  }

  static let histories = [
    History(name: "passes", probes: "+++", states: "UUU"),
    History(name: "one failure", probes: "-+", states: "dU"),
    History(name: "two failures", probes: "--+", states: "ddU"),
    History(name: "three failures", probes: "---", states: "ddD"),
    History(name: "failures that are no run", probes: "--+--+", states: "ddUddU"),
    History(name: "down stays down", probes: "-----", states: "ddDDD"),
    History(name: "comes back", probes: "---++", states: "ddDuU"),
    History(name: "passes that are no run", probes: "---+-+-++", states: "ddDuDuDuU"),
    History(name: "fall 1", probes: "-+-", states: "DuD", fall: 1),
    History(name: "rise 1", probes: "---+", states: "ddDU", rise: 1),
    History(name: "rise 1, fall 1", probes: "-+-+", states: "DUDU", rise: 1, fall: 1),
    History(name: "begins down", probes: "++", states: "uU", startsUp: false),
    History(name: "begins down, fails", probes: "-+-++", states: "DuDuU", startsUp: false),
  ]

  @Test("Rise and fall", arguments: histories)
  func judges(_ history: History) {
    let check = HealthCheck(
      kind: .tcp, rise: history.rise, fall: history.fall, start: history.startsUp ? .up : .down,
      damping: Damping(hold: .zero))
    var world = HealthWorld(.checked("web", 1, check), known: [:])
    let states = history.probes.enumerated().map { second, probe in
      world.probe("b1", passes: probe == "+", at: .seconds(second))
      return world.state("b1").letter
    }
    #expect(String(states) == history.states)
  }

  @Test("A transition tells both states, and why the probe failed")
  func transition() {
    var world = HealthWorld(.checked("web", 1, HealthCheck(kind: .tcp, rise: 1, fall: 2)))
    let first = world.probe("b1", passes: false, at: .seconds(1))
    #expect(first?.backend == BackendKey(pool: "web", backend: "b1"))
    #expect((first?.from, first?.to) == (.up, .goingDown))
    #expect(first?.reason == "connection refused")
    #expect(world.probe("b1", passes: false, at: .seconds(2))?.to == .down)
    #expect(world.probe("b1", passes: false, at: .seconds(3)) == nil)
    let last = world.probe("b1", passes: true, at: .seconds(4))
    #expect(last?.to == .up)
    #expect(last?.reason == nil)
  }

  @Test("A record counts the run, and keeps the latest outcome")
  func record() throws {
    var world = HealthWorld(.checked("web", 1, HealthCheck(kind: .tcp)))
    #expect(world.board.record(of: world.target("b1"))?.latest == nil)
    world.probe("b1", passes: true, at: .seconds(1))
    world.probe("b1", passes: false, at: .seconds(2))
    world.probe("b1", passes: false, at: .seconds(3), taking: .milliseconds(300))
    let record = try #require(world.board.record(of: world.target("b1")))
    #expect(record.state == .goingDown)
    #expect(record.since == .seconds(2))
    #expect((record.passed, record.failed) == (0, 2))
    #expect(record.latest?.endedAt == .milliseconds(3300))
    #expect(record.latest?.outcome.failure?.layer == .port)
    #expect(world.board.record(of: world.target("b2")) == nil)
  }

  @Test("What fails on the balancer itself is told, and changes nothing")
  func localFailure() {
    var world = HealthWorld(.checked("web", 1, HealthCheck(kind: .tcp, fall: 2)))
    var board = world.board
    let failure = ProbeOutcome.Failure(.local, "no descriptor left")
    for second in 1...9 {
      let change = board.add(
        ProbeOutcome(failure: failure, duration: .zero), of: world.target("b1"), begun: .seconds(second),
        at: .seconds(second))
      #expect(change == nil)
    }
    #expect(board.record(of: world.target("b1"))?.latest?.outcome.failure == failure)
    // It neither ends nor prolongs a run of failures.
    world.probe("b1", passes: false, at: .seconds(1))
    #expect(world.state("b1") == .goingDown)
  }

  @Test("A backend is as healthy as the worst of its targets")
  func worst() {
    let other = IPAddress.v4(192, 0, 2, 2)
    let pool = Pool.checked("web", 1, HealthCheck(kind: .tcp, vips: [HealthWorld.vip, other], port: 80))
    var board = HealthBoard()
    let backend = BackendKey(pool: "web", backend: "b1")
    board.configure(DesiredState(pools: [pool]), at: .zero) { _, _ in true }
    #expect(board.jobs.count == 2)
    func note(_ vip: IPAddress, _ passes: Bool, _ second: Int) -> HealthState {
      let outcome = ProbeOutcome(failure: passes ? nil : .init(.port, "refused"), duration: .zero)
      _ = board.add(
        outcome, of: HealthBoard.Target(backend: backend, vip: vip), begun: .seconds(second),
        at: .seconds(second))
      return board.state(of: backend)
    }
    #expect((1...4).map { note(HealthWorld.vip, false, $0) } == [.goingDown, .goingDown, .down, .down])
    #expect((5...7).map { note(other, false, $0) } == [.down, .down, .down])
    #expect((8...9).map { note(HealthWorld.vip, true, $0) } == [.down, .down])
    #expect((10...11).map { note(other, true, $0) } == [.goingUp, .up])
  }
}

extension HealthState {
  /// For tables: Up, down (D), going down (d), going up (u), unchecked (-).
  var letter: Character {
    switch self {
    case .up: "U"
    case .goingDown: "d"
    case .down: "D"
    case .goingUp: "u"
    case .unchecked: "-"
    }
  }
}

extension Pool {
  /// `b1`, `b2`, … with a check.
  static func checked(
    _ name: String, _ backends: Int, _ check: HealthCheck, require: Requirement = .backends(0),
    hysteresis: Int = 0,
    onInsufficient: InsufficientPolicy = .withdraw, guard: HealthGuard = HealthGuard(share: 100)
  ) -> Pool {
    Pool(
      name: name,
      backends: (0..<backends).map {
        Backend(name: "b\($0 + 1)", address: .v4(10, 0, UInt8($0 >> 8), UInt8($0 & 255)))
      }, require: require,
      health: HealthPolicy(
        check: check, hysteresis: hysteresis, onInsufficient: onInsufficient, guard: `guard`))
  }
}
