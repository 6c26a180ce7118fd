// SPDX-License-Identifier: Apache-2.0

/// The installed state with the names of a desired state: a renamed pool keeps its table, slot memory, backends and
/// counters.
struct Renaming {
  /// The state with the new names.
  private(set) var installed: InstalledState
  /// The new names by the old ones.
  let pools: [String: String]
  /// Writes the names. Backends that the table names come first, so that the next start recognizes them after a crash.
  private(set) var steps: [Plan.Step] = []

  init(_ before: InstalledState, to desired: DesiredState) {
    let whole = before.withBackendsOfTheirTables()
    pools = whole.renames(among: desired)
    installed = whole
    guard !pools.isEmpty || whole != before else { return }
    renameServices()
    renamePools()
    let tables = pools.values.compactMap { installed.pools[$0]?.slots }
    let named = Set(tables.joined().lazy.flatMap { [$0.current, $0.previous] })
    var last: [Plan.Step] = []
    for backend in whole.backends.values.sorted(by: { $0.number < $1.number }) {
      let name = pools[backend.pool] ?? backend.pool
      installed.backends[backend.number]?.pool = name
      guard before.backends[backend.number]?.pool != name, let renamed = installed.backends[backend.number]
      else { continue }
      if named.contains(backend.number) {
        steps.append(.renameBackend(renamed))
      } else {
        last.append(.renameBackend(renamed))
      }
    }
    steps += pools.values.sorted().compactMap { installed.pools[$0].map(Plan.Step.renamePool) } + last
  }

  private mutating func renameServices() {
    for key in installed.services.keys {
      if let pool = installed.services[key]?.service.pool, let name = pools[pool] {
        installed.services[key]?.service.pool = name
      }
      if let pool = installed.services[key]?.move?.pool, let name = pools[pool] {
        installed.services[key]?.move?.pool = name
      }
    }
  }

  private mutating func renamePools() {
    for (old, name) in pools {
      installed.pools[name] = installed.pools.removeValue(forKey: old)
      installed.pools[name]?.name = name
    }
  }
}

extension InstalledState {
  /// The new names of pools that `desired` renames, by the old names.
  public func renames(to desired: DesiredState) -> [String: String] {
    withBackendsOfTheirTables().renames(among: desired)
  }

  /// This state as it is called in `desired`.
  public func renamed(to desired: DesiredState) -> InstalledState { Renaming(self, to: desired).installed }

  /// A pool has another name where it is gone, all of its services that stay get one and the same new pool, flows have
  /// the same slots there, and half of the new pool's backends or more are its own.
  fileprivate func renames(among desired: DesiredState) -> [String: String] {
    let wanted = Set(desired.pools.map(\.name))
    let gone = pools.values.filter { !wanted.contains($0.name) }.sorted { $0.name < $1.name }
    guard !gone.isEmpty else { return [:] }
    var targets: [String: Set<String>] = [:]
    for service in desired.services {
      if let old = services[service.key]?.service.pool { targets[old, default: []].insert(service.pool) }
    }
    var renames: [String: String] = [:]
    for old in gone {
      guard let name = targets[old.name]?.first, targets[old.name]?.count == 1, pools[name] == nil,
        let pool = desired.pool(named: name), pool.selectsSlots(as: old), !renames.values.contains(name),
        !backends.values.contains(where: { $0.pool == name })
      else { continue }
      let addresses = Set(backends.values.filter { $0.pool == old.name && !$0.isLeaving }.map(\.address))
      let shared = pool.backends.count { addresses.contains($0.address) }
      if shared > 0, shared * 2 >= pool.backends.count { renames[old.name] = name }
    }
    return renames
  }

  /// A backend belongs to the pool whose table names it. A daemon that dies while it renames a pool leaves backends
  /// that are called otherwise.
  fileprivate func withBackendsOfTheirTables() -> InstalledState {
    let suspects = Set(
      index.members.lazy.filter { pools[$0.key] == nil }.flatMap { $0.value.map(\.number) })
    guard !suspects.isEmpty else { return self }
    var state = self
    for pool in pools.values {
      for slot in pool.slots {
        for number in [slot.current, slot.previous] where number != 0 && suspects.contains(number) {
          state.backends[number]?.pool = pool.name
        }
      }
    }
    return state
  }
}

extension [BackendOverride] {
  /// With the pools' new names.
  public func following(_ renames: [String: String]) -> [BackendOverride] {
    map { override in
      var override = override
      override.pool = renames[override.pool] ?? override.pool
      return override
    }
  }
}
