// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Floors of pools")
struct HealthFloorTests {
  /// What becomes of a pool of four, b1…b4, as their health changes step by step.
  struct Row: CustomTestStringConvertible, Sendable {
    var name: String
    var policy: InsufficientPolicy
    var require = 2
    var hysteresis = 0
    /// Per step: a backend goes down (`-1`) or up (`+1`); then who is in use, and `!` where that is not sufficient.
    var steps: [(String, String)]
    var testDescription: String { "\(policy.rawValue): \(name)" }
  }

  static let rows = [
    Row(
      name: "one after the other", policy: .withdraw,
      steps: [
        ("-1", "234"), ("-2", "34"), ("-3", "4!"), ("-4", "!"), ("+1", "1!"), ("+2", "12"), ("+3", "123"),
        ("+4", "1234"),
      ]),
    Row(
      name: "one after the other", policy: .keep,
      steps: [
        ("-1", "234"), ("-2", "34"), ("-3", "34!"), ("-4", "34!"), ("+1", "134!"), ("+2", "12"),
        ("-2", "12!"),
        ("+2", "12"), ("+4", "124"),
      ]),
    Row(
      name: "one after the other", policy: .all,
      steps: [
        ("-1", "234"), ("-2", "34"), ("-3", "1234!"), ("-4", "1234!"), ("+1", "1234!"), ("+2", "12"),
        ("+3", "123"),
      ]),
    Row(
      name: "no requirement needs one", policy: .all, require: 0,
      steps: [("-1", "234"), ("-2", "34"), ("-3", "4"), ("-4", "1234!"), ("+2", "2")]),
    Row(
      name: "no requirement needs one", policy: .keep, require: 0,
      steps: [("-1", "234"), ("-2", "34"), ("-3", "4"), ("-4", "4!"), ("+2", "2")]),
    Row(
      name: "hysteresis", policy: .all, hysteresis: 1,
      steps: [("-1", "234"), ("-2", "34"), ("-3", "1234!"), ("+1", "1234!"), ("+2", "124"), ("-1", "24")]),
    Row(
      name: "hysteresis", policy: .withdraw, hysteresis: 1,
      steps: [("-1", "234"), ("-2", "34"), ("-3", "4!"), ("+1", "14!"), ("+2", "124"), ("-1", "24")]),
    Row(
      name: "hysteresis asks for no more than there are", policy: .keep, require: 4, hysteresis: 9,
      steps: [("-1", "1234!"), ("-2", "1234!"), ("+1", "1234!"), ("+2", "1234")]),
    Row(
      name: "requires more than there are", policy: .all, require: 5,
      steps: [("-1", "1234!"), ("+1", "1234!")]),
  ]

  @Test("Who is in use", arguments: rows)
  func floors(_ row: Row) {
    let check = HealthCheck(kind: .tcp, rise: 1, fall: 1, damping: Damping(hold: .zero))
    var world = HealthWorld(
      .checked(
        "web", 4, check, require: .backends(row.require), hysteresis: row.hysteresis,
        onInsufficient: row.policy))
    for (number, step) in row.steps.enumerated() {
      world.probe("b\(step.0.dropFirst())", passes: step.0.first == "+", at: .seconds(number + 1))
      world.wait(until: .seconds(number + 1) + .milliseconds(200))
      #expect(world.shown == step.1, "after step \(number + 1), \(step.0)")
      #expect(world.health?.policy == (step.1.contains("!") ? row.policy : nil))
    }
  }

  static let once = HealthCheck(kind: .tcp, rise: 1, fall: 1, damping: Damping(hold: .zero))

  @Test("Backends that drain, are in maint or have no weight count for nothing")
  func administrative() {
    var world = HealthWorld(.checked("web", 4, Self.once, require: .percent(50)))
    world.change("b1") { $0.state = .drain }
    world.change("b2") { $0.state = .maint }
    #expect(world.health?.healthy == 2)
    #expect(world.health?.required == 2)
    world.change("b3") { $0.weight = 0 }
    #expect(world.health?.isSufficient == false)
    #expect(world.inUse == ["b1", "b2", "b3", "b4"])
    // Its health says whether it is in use, whatever the pool's policy.
    world.pool.health.onInsufficient = .all
    world.configure()
    world.probe("b1", passes: false, at: .seconds(1))
    #expect(world.inUse == ["b2", "b3", "b4"])
  }

  @Test("Hysteresis asks for no more backends than may take flows")
  func hysteresisOfFew() {
    var world = HealthWorld(.checked("web", 4, Self.once, require: .backends(2), hysteresis: 2))
    for name in ["b1", "b2", "b3"] { world.probe(name, passes: false, at: .seconds(1)) }
    world.change("b3") { $0.state = .maint }
    world.probe("b1", passes: true, at: .seconds(2))
    world.wait(until: .seconds(3))
    #expect(world.health?.isSufficient == false)
    world.probe("b2", passes: true, at: .seconds(4))
    world.wait(until: .seconds(5))
    #expect(world.health?.isSufficient == true)
  }

  @Test("A backend that is removed is kept no longer")
  func removed() {
    var world = HealthWorld(.checked("web", 3, Self.once, require: .backends(2), onInsufficient: .keep))
    for name in ["b1", "b2", "b3"] { world.probe(name, passes: false, at: .seconds(1)) }
    #expect(world.inUse == ["b2", "b3"])
    world.pool.backends.removeAll { $0.name == "b2" }
    world.configure()
    #expect(world.inUse == ["b3"])
    // Nor is one that comes back under the same name with another address.
    world.pool.backends.append(Backend(name: "b2", address: .v4(10, 9, 9, 9)))
    world.configure()
    #expect(world.inUse == ["b3"])
  }

  @Test("keep, where the pool never had enough: all that are ready")
  func neverSufficient() {
    var world = HealthWorld(
      .checked("web", 3, Self.once, onInsufficient: .keep), known: ["b1": false, "b2": false, "b3": false])
    #expect(world.inUse == ["b1", "b2", "b3"])
    #expect(world.health?.isSufficient == false)
    world.probe("b2", passes: true, at: .seconds(1))
    #expect(world.inUse == ["b2"])
  }
}

extension HealthWorld {
  /// Numbers of the backends in use, and `!` where the pool is not sufficient.
  var shown: String { inUse.map { $0.dropFirst() }.joined() + (health?.isSufficient == true ? "" : "!") }
}
