// SPDX-License-Identifier: Apache-2.0
import ForwardingModel
import TestSupport
import Testing

/// The program against the model of docs/affinity.md, through random histories.
@Suite("Forwarding histories", .serialized)
struct ForwardingHistoryTests {
  /// How narrow things are.
  enum Room: CaseIterable, Sendable {
    case ample, smallBudgets, smallTable
  }

  private static let seeds = [1, 2, 3, UInt64.random(in: 0..<1_000_000_000)]
  private static let countPerSeed = 250

  @Test("every packet goes where the model says, and leaves the same entry", arguments: Room.allCases, seeds)
  func histories(_ room: Room, _ seed: UInt64) throws {
    print("Forwarding histories: \(room), seed \(seed)")
    var random = SplitMix64(seed: seed)
    let world = HistoryWorld(room)
    var player = try HistoryPlayer(world)
    var eventCount = 0
    try onOneCPU {
      for number in 0..<Self.countPerSeed {
        let history = History.random(world, floodCount: room == .ample ? 3 : 12, using: &random)
        eventCount += history.events.count
        guard let difference = try player.play(history) else { continue }
        let (shortest, why) = try player.shrink(history, difference)
        Issue.record(
          """
          \(room), seed \(seed), history \(number): \(why)
          \(shortest.settings)
          \(shortest.events.map { world.text($0) }.joined(separator: "\n"))
          """)
        return
      }
    }
    print("  \(Self.countPerSeed) histories, \(eventCount) events")
  }
}

extension HistoryWorld {
  fileprivate convenience init(_ room: ForwardingHistoryTests.Room) {
    switch room {
    case .ample: self.init(flowEntries: 512)
    case .smallBudgets: self.init(flowEntries: 512, newPerTick: 5, learnedPerTick: 4)
    case .smallTable: self.init(flowEntries: 5)
    }
  }

  fileprivate func text(_ event: HistoryEvent) -> String {
    guard case .packet(let flow, let shape) = event else { return "\(event)" }
    return "packet of flow \(flow), service \(flows[flow].service): \(shape.kind(flows[flow].flow.transport))"
  }
}

extension HistoryPlayer {
  /// A history as short as leaving events out makes it that still shows a difference.
  mutating func shrink(_ history: History, _ difference: Difference) throws -> (History, Difference) {
    var (shortest, why) = (history, difference)
    shortest.events.removeSubrange((difference.event + 1)...)
    var length = shortest.events.count / 2
    while length > 0 {
      var start = 0
      while start + length <= shortest.events.count {
        var shorter = shortest
        shorter.events.removeSubrange(start..<(start + length))
        if let difference = try play(shorter) {
          shorter.events.removeSubrange(min(difference.event + 1, shorter.events.count)...)
          (shortest, why) = (shorter, difference)
        } else {
          start += length
        }
      }
      length /= 2
    }
    return (shortest, why)
  }
}
