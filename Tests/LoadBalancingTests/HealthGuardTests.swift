// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("Guard against the loss of a pool by its checks")
struct HealthGuardTests {
  /// A pool of four, b1…b4, with nothing required. Guard: half of it (two) within 60 s.
  struct Row: CustomTestStringConvertible, Sendable {
    var name: String
    var share = 50
    var policy = InsufficientPolicy.withdraw
    /// Second, what goes down (`-1`) or up (`+1`), or nothing; then who is in use (`!`: not sufficient) and who is held.
    var steps: [(Int, String, String, held: String)]
    var testDescription: String { name }
  }

  static let rows = [
    Row(
      name: "a third waits for the first",
      steps: [
        (1, "-1", "234", ""), (11, "-2", "34", ""), (21, "-3", "34", "3"), (60, "", "34", "3"),
        (61, "", "4", ""),
        (70, "-4", "4!", "4"), (71, "", "!", ""),
      ]),
    Row(
      name: "all at once",
      steps: [(1, "-3-1-4-2", "24!", "24"), (60, "", "24!", "24"), (61, "", "!", "")]),
    Row(
      name: "who is held and recovers is held no longer",
      steps: [(1, "-1-2-3", "34", "3"), (5, "+3", "34", ""), (6, "-3", "34", "3"), (61, "", "4", "")]),
    Row(
      name: "who comes back makes room for another",
      steps: [(1, "-1-2", "34", ""), (5, "+1", "134", ""), (6, "-3", "14", ""), (7, "-4", "14", "4")]),
    Row(name: "one of a hundred is one", share: 1, steps: [(1, "-1-2", "234", "2"), (61, "", "34", "")]),
    Row(name: "all may go", share: 100, steps: [(1, "-1-2-3-4", "!", "")]),
    Row(
      name: "policy all keeps more than the guard does", policy: .all,
      steps: [(1, "-1-2-3", "34", "3"), (2, "-4", "1234!", ""), (3, "+4", "34", "3"), (63, "", "4", "")]),
    Row(
      name: "policy keep", policy: .keep,
      steps: [(1, "-1-2-3-4", "1234!", ""), (2, "+4", "34", "3"), (62, "", "4", "")]),
  ]

  @Test("Who is held", arguments: rows)
  func holds(_ row: Row) {
    let check = HealthCheck(kind: .tcp, rise: 1, fall: 1, damping: Damping(hold: .zero))
    var world = HealthWorld(
      .checked("web", 4, check, onInsufficient: row.policy, guard: HealthGuard(share: row.share)))
    for (second, changes, expected, held) in row.steps {
      world.wait(until: .seconds(second))
      // One a millisecond after the other, and all of them before the decision.
      for (number, change) in changes.split(by: 2).enumerated() {
        world.note("b\(change[1])", passes: change[0] == "+", begun: .seconds(second) + .milliseconds(number))
      }
      world.wait(until: .seconds(second) + .milliseconds(150))
      #expect(world.shown == expected, "at \(second) s, after \(changes)")
      #expect(world.health?.heldByGuard == held.map { "b\($0)" }, "at \(second) s, after \(changes)")
    }
  }
}

extension String {
  fileprivate func split(by count: Int) -> [[Character]] {
    let characters = Array(self)
    return stride(from: 0, to: characters.count, by: count).map { Array(characters[$0..<($0 + count)]) }
  }
}
