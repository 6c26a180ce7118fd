// SPDX-License-Identifier: Apache-2.0

/// How many entries a CPU may add to the flow table in a tick, about a second; half of it for one service.
public struct InsertBudgets: Hashable, Sendable {
  /// For first packets (SYN).
  public var new: UInt32
  /// For other packets of flows that are not known.
  public var learned: UInt32

  public static let unlimited = InsertBudgets(new: .max, learned: .max)

  /// What leaves time to sweep a table of so many flows: all CPUs together take a minute to fill it with SYNs.
  /// - Parameter cpus: those that are online. One that comes online later may add as much as each of them.
  static func share(of flows: Int, cpus: Int) -> InsertBudgets {
    let share = flows / cpus
    return InsertBudgets(new: UInt32(max(share / 64, 64)), learned: UInt32(max(share / 128, 64)))
  }
}
