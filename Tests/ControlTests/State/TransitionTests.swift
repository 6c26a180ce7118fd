// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import LoadBalancing
import Testing

@testable import Control
@testable import Dataplane

/// Every input in every situation, as a table of actions and of the position that follows. `SLUICE_PRINT_TRANSITIONS=1`
/// prints the table instead.
struct TransitionTests {
  struct Transition: Equatable, CustomStringConvertible {
    var situation: String
    var input: String
    var actions: String
    var position: String

    var description: String { "\(situation) | \(input) | \(actions) | \(position)" }
  }

  /// Inputs that come from outside at any time.
  private static func events(_ world: ControlWorld) -> [(String, Input)] {
    var oldTag = ChangeTerms()
    oldTag.expectedTag = "run-0"
    var dryRun = ChangeTerms()
    dryRun.dryRun = true
    var down = world
    down.down = [.v4(10, 0, 0, 2)]
    let requester = Requester(identity: "tester")
    return [
      ("start", .start), ("control served", .controlServed), ("stop", .stop),
      ("reload", .requested(90, .reload, by: requester, ChangeTerms())),
      ("dry reload", .requested(95, .reload, by: requester, dryRun)),
      ("drain", .requested(91, ControlWorld.drain, by: requester, ChangeTerms())),
      ("old tag", .requested(92, ControlWorld.drain, by: requester, oldTag)),
      ("detach", .requested(93, .detach, by: requester, ChangeTerms())),
      ("health", .healthDecided(down.decision(on: world.state.view.forwarding.desired))),
      ("network", .networkChanged), ("link lost", .networkRead(.success(NetworkView(link: nil)))),
      ("tick", .tick), ("census", .censusRequested(94)),
      ("stale census", .censusTaken(0, .success(FlowWalkResult(census: FlowCensus())))),
      ("late result", .applied(.success(Applied()))),
    ]
  }

  static func transitions() -> [Transition] {
    Situation.all.flatMap { situation in
      let world = situation.world
      let results = world.pending.flatMap { action -> [(String, Input)] in
        var copy = world
        return [
          ("\(action.name) ok", copy.result(of: action, failing: false)),
          ("\(action.name) fails", copy.result(of: action, failing: true)),
        ]
      }
      return (events(world) + results).map { name, input in
        var world = world
        world.pending = []
        let actions = world.handle(input).map(\.name)
        return Transition(
          situation: situation.name, input: name, actions: actions.joined(separator: ", "),
          position: world.state.position)
      }
    }
  }

  @Test func `each input leads to its actions`() throws {
    let transitions = Self.transitions()
    if ProcessInfo.processInfo.environment["SLUICE_PRINT_TRANSITIONS"] != nil {
      for transition in transitions { print("ROW \(transition)") }
      return
    }
    let expected = transitionTable.split(separator: "\n").map(String.init)
    #expect(transitions.count >= 150)
    #expect(transitions.count == expected.count)
    for (transition, expected) in zip(transitions, expected) {
      #expect("\(transition)" == expected)
    }
  }
}
