// SPDX-License-Identifier: Apache-2.0
import BPF
import LoadBalancing

/// What it costs to build a forwarding table, and to write one.
enum TableBench {
  struct Figure: Codable {
    var backends: Int
    var weights: String
    var slots: Int
    var milliseconds: Double
    /// The worst distance of a backend's slots from its weight's share, in slots.
    var worstError: Double
  }

  struct Writing: Codable {
    var slots: Int
    var microseconds: Double
  }

  /// A whole table, stored slot by slot in memory shared with the kernel.
  static func measureWriting(rounds: Int) throws -> Writing {
    let table = try Harness().table
    let times = (0...rounds).map { round in
      milliseconds {
        table.withElements(0..<table.count) { slots in
          for index in slots.indices { slots[index] = UInt64(round + index) }
        }
      }
    }
    return Writing(slots: table.count, microseconds: median(Array(times.dropFirst())) * 1000)
  }

  private static func milliseconds(_ work: () -> Void) -> Double {
    let duration = ContinuousClock().measure(work).components
    return Double(duration.attoseconds) / 1e15 + Double(duration.seconds) * 1000
  }

  static func measure(rounds: Int) -> [Figure] {
    var figures: [Figure] = []
    for count in [10, 100, 1000] {
      for weighted in [false, true] {
        let members = (0..<count).map { number in
          MaglevTable.Member(
            address: .v4(10, 2, UInt8(number >> 8), UInt8(number & 255)),
            weight: weighted ? number % 100 + 1 : 100)
        }
        var table = MaglevTable.build(members, size: Pool.defaultTableSize)
        let times = (0..<rounds).map { _ in
          milliseconds { table = MaglevTable.build(members, size: Pool.defaultTableSize) }
        }
        figures.append(
          Figure(
            backends: count, weights: weighted ? "1…100" : "equal", slots: Pool.defaultTableSize,
            milliseconds: median(times), worstError: worstError(table, members)))
      }
    }
    return figures
  }

  private static func worstError(_ table: MaglevTable, _ members: [MaglevTable.Member]) -> Double {
    var slots = [Int](repeating: 0, count: members.count)
    for owner in table.owners where owner >= 0 { slots[Int(owner)] += 1 }
    let total = members.reduce(0) { $0 + $1.weight }
    return zip(members, slots).map { member, count in
      abs(Double(count) - Double(table.owners.count) * Double(member.weight) / Double(total))
    }.max() ?? 0
  }
}
