// SPDX-License-Identifier: Apache-2.0

/// A change of a pool that gives its flows other slots, which do not have their previous backends.
public struct SlotSelectionChange: Equatable, Sendable, CustomStringConvertible {
  public var pool: String
  /// The settings that change: `hash flow -> source`, `table_size 251 -> 241`.
  public var settings: [String]
  /// The number of virtual services affected.
  public var services: Int
  /// The number of slots of the present table.
  public var slots: Int
  /// Live entries of the flow table for the pool's backends; nil without a census.
  public var flows: Int?

  public var description: String {
    let flows = flows.map { "; \($0) live flows are in the flow table" } ?? ""
    return
      "pool \(pool): \(settings.joined(separator: ", ")) gives flows of \(services) virtual services other "
      + "slots, which remember nothing of them: connections break in all \(slots) slots\(flows)"
  }
}

extension Planner {
  /// Refuses changes that give flows other slots, unless the caller allows them.
  func checkSlotSelection() throws(PlanError) {
    guard !allowsLostFlows else { return }
    let changes = desired.pools.sorted { $0.name < $1.name }.compactMap(slotSelectionChange)
    if !changes.isEmpty { throw .losesFlows(changes) }
  }

  private func slotSelectionChange(of pool: Pool) -> SlotSelectionChange? {
    guard !unchanged.contains(pool.name), let old = installed.pools[pool.name], !pool.selectsSlots(as: old)
    else { return nil }
    // Services that stay. A pool that no service uses has no flows to lose.
    let wanted = Set(desired.services.map(\.key))
    let services = installed.services.values.filter { service in
      wanted.contains(service.service.key)
        && (service.service.pool == pool.name || service.move?.pool == pool.name)
    }
    guard !services.isEmpty else { return nil }
    var settings: [String] = []
    if old.hash != pool.hash { settings.append("hash \(old.hash.rawValue) -> \(pool.hash.rawValue)") }
    if old.slots.count != pool.tableSize {
      settings.append("table_size \(old.slots.count) -> \(pool.tableSize)")
    }
    return SlotSelectionChange(
      pool: pool.name, settings: settings, services: services.count, slots: old.slots.count,
      flows: liveFlows(of: Set(installed.backends(of: pool.name).map(\.number))))
  }
}

extension Pool {
  /// Whether a flow has the same slot as in the installed table, so that what the slot remembers is true of it.
  func selectsSlots(as old: InstalledState.Pool) -> Bool { old.slots.count == tableSize && old.hash == hash }
}
