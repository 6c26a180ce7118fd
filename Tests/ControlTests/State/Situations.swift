// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import LoadBalancing

@testable import Control
@testable import Dataplane

/// A state in which an input may come.
struct Situation {
  var name: String
  var world: ControlWorld

  init(_ name: String, _ world: ControlWorld) {
    self.name = name
    self.world = world
  }
}

extension ControlWorld {
  // MARK: Starts

  /// A start that has come to where an action of this name is pending.
  static func starting(until name: String) -> ControlWorld {
    var world = ControlWorld()
    world.handle(.start)
    while !world.pending.contains(where: { $0.name == name }) { world.complete() }
    return world
  }

  static func running(_ configuration: Configuration = configuration()) -> ControlWorld {
    var world = ControlWorld(configuration)
    world.start()
    return world
  }

  mutating func start() {
    handle(.start)
    completeAll()
    handle(.controlServed)
    completeAll()
  }

  static func failed() -> ControlWorld {
    var world = starting(until: "adopt")
    world.complete(failing: true) { $0.name == "adopt" }
    return world
  }

  // MARK: Requests

  static let drain = ChangeRequest.change(
    backend: "b1", pool: "web", BackendChange(state: "drain"))
  static let addition = ChangeRequest.add(
    backend: "b9", pool: "web", BackendAddition(address: "10.0.0.9"))
  static let removal = ChangeRequest.remove(backend: "b1", pool: "web", reason: nil)

  static func changing(
    _ request: ChangeRequest, _ terms: ChangeTerms = ChangeTerms(), completing names: [String] = []
  ) -> ControlWorld {
    var world = running()
    world.request(request, terms)
    for name in names { world.complete { $0.name == name } }
    return world
  }

  /// A plan of the daemon's own is being carried out.
  static func ownPlan() -> ControlWorld {
    var world = running()
    world.down = [.v4(10, 0, 0, 3)]
    world.handle(.healthDecided(world.decision(on: world.state.view.forwarding.desired)))
    return world
  }

  static func recovering() -> ControlWorld {
    var world = ownPlan()
    world.complete(failing: true) { $0.name == "apply" }
    return world
  }

  /// What is installed could not be read.
  static func unreadable() -> ControlWorld {
    var world = recovering()
    world.complete(failing: true) { $0.name == "recover" }
    return world
  }

  /// A reload failed, and is to be tried again at the next tick.
  static func reloadDue() -> ControlWorld {
    var world = reloading(completing: ["loadConfiguration", "measure"])
    world.complete(failing: true) { $0.name == "apply" }
    world.completeAll()
    return world
  }

  static func patrolling() -> ControlWorld {
    var world = running()
    world.handle(.tick)
    return world
  }

  static func clearing() -> ControlWorld {
    var world = running()
    world.hasDeadFlows = true
    world.handle(.tick)
    while world.complete(where: { $0.name != "clearFlows" }) != nil {}
    return world
  }

  static func attachingAgain() -> ControlWorld {
    var world = running()
    world.request(.detach)
    world.completeAll()
    world.request(.attach)
    return world
  }

  static func reloading(completing names: [String]) -> ControlWorld {
    var world = running()
    world.file = configuration(pools: [pool("web", [1, 2])])
    world.request(.reload)
    for name in names { world.complete { $0.name == name } }
    return world
  }

  static func stopping() -> ControlWorld {
    var world = changing(drain, completing: ["save"])
    world.handle(.stop)
    return world
  }

  static func stopped() -> ControlWorld {
    var world = running()
    world.handle(.stop)
    return world
  }

  /// A change is saved while another plan is being carried out.
  static func waitingForPlan() -> ControlWorld {
    var world = changing(drain)
    world.down = [.v4(10, 0, 0, 3)]
    world.handle(.healthDecided(world.decision(on: world.state.view.forwarding.desired)))
    world.complete { $0.name == "save" }
    return world
  }
}

extension Situation {
  static var all: [Situation] {
    [
      Situation("initial", ControlWorld()),
      Situation("reading saved state", .starting(until: "readSavedState")),
      Situation("adopting", .starting(until: "adopt")),
      Situation("resolving", .starting(until: "resolve")),
      Situation("first plan", .starting(until: "apply")),
      Situation("first attachment", .starting(until: "attach")),
      Situation("start failed", .failed()),
      Situation("running", .running()),
      Situation("own plan", .ownPlan()),
      Situation("recovering", .recovering()),
      Situation("unreadable", .unreadable()),
      Situation("patrolling", .patrolling()),
      Situation("clearing", .clearing()),
      Situation("reload: loading", .reloading(completing: [])),
      Situation("reload: measuring", .reloading(completing: ["loadConfiguration"])),
      Situation("reload: applying", .reloading(completing: ["loadConfiguration", "measure"])),
      Situation("reload: saving", .reloading(completing: ["loadConfiguration", "measure", "apply"])),
      Situation("reload: to be tried again", .reloadDue()),
      Situation("add: resolving", .changing(addition)),
      Situation("add: saving", .changing(addition, completing: ["resolve"])),
      Situation("add: applying", .changing(addition, completing: ["resolve", "save"])),
      Situation("remove: measuring", .changing(removal)),
      Situation("drain: saving", .changing(drain)),
      Situation("drain: waiting for a plan", .waitingForPlan()),
      Situation("drain: applying", .changing(drain, completing: ["save"])),
      Situation("detaching", .changing(.detach)),
      Situation("attaching", .attachingAgain()),
      Situation("stopping", .stopping()),
      Situation("stopped", .stopped()),
    ]
  }

  private static let addition = ControlWorld.addition
  private static let removal = ControlWorld.removal
  private static let drain = ControlWorld.drain
}

extension ControlState {
  /// Where the state is, in a few words.
  var position: String {
    let phase =
      switch phase {
      case .running(let readiness): readiness.isReported ? "ready" : "running"
      case .readingSavedState: "reading"
      default: Mirror(reflecting: phase).children.first?.label ?? "\(phase)"
      }
    let step = changes.current.map { change -> String in
      ", change " + (Mirror(reflecting: change.step).children.first?.label ?? "\(change.step)")
    }
    let kernel =
      switch kernel.inFlight {
      case .none: ""
      case .applying: ", applying"
      default: ", " + (Mirror(reflecting: kernel.inFlight).children.first?.label ?? "\(kernel.inFlight)")
      }
    let waiting = changes.waiting.isEmpty ? "" : ", \(changes.waiting.count) waiting"
    return phase + (step ?? "") + kernel + waiting
  }
}
