// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// Identifies a reading of counters or of the flow table. Later ones have greater numbers.
typealias ReadingID = UInt64

/// Readings of the maps that are under way. They and plans do not wait for each other: what a reading finds counts for
/// whatever stays the same from its beginning until it is used.
struct Readings: Sendable {
  private var underWay: [ReadingID: Reading] = [:]
  private var lastID: ReadingID = 0

  var count: Int { underWay.count }

  /// - Parameter changes: what is being changed at its beginning.
  mutating func begin(
    _ installed: InstalledState, during changes: InstalledChanges, at now: Moment
  ) -> ReadingID {
    lastID += 1
    underWay[lastID] = Reading(id: lastID, begun: now, installed: installed, changes: changes)
    return lastID
  }

  /// Parts of the installed state are about to become others, or have become others.
  mutating func add(_ changes: InstalledChanges) {
    for id in underWay.keys { underWay[id]?.changes.formUnion(changes) }
  }

  subscript(id: ReadingID) -> Reading? { underWay[id] }

  /// - Returns: nil where no such reading is under way.
  mutating func end(_ id: ReadingID) -> Reading? { underWay.removeValue(forKey: id) }
}

/// A reading of the maps.
struct Reading: Sendable {
  var id: ReadingID
  var begun: Moment
  /// What was installed when it began.
  var installed: InstalledState
  /// What has changed since. The reading says nothing of it.
  var changes: InstalledChanges
}

/// Parts of the installed state that became others.
struct InstalledChanges: Equatable, Sendable {
  /// Whether any part may be another.
  private(set) var areUnknown = false
  /// Backends that were released.
  private(set) var backends: Set<BackendNumber> = []
  private(set) var services: Set<VirtualService.Key> = []
  /// Pools with a table of another kind, or with other services.
  private(set) var pools: Set<String> = []
  /// Slots of other pools that were written.
  private(set) var slots: [String: Set<Int>] = [:]

  static let none = InstalledChanges()
  /// What is installed is not known for certain.
  static let unknown = InstalledChanges(areUnknown: true)

  private init(areUnknown: Bool = false) { self.areUnknown = areUnknown }

  /// What a plan changes.
  init(by plan: Plan, from installed: InstalledState) {
    for case .releaseBackend(let number) in plan.steps { backends.insert(number) }
    let result = plan.result
    for (key, service) in installed.services where result.services[key] != service {
      add(service)
      if let new = result.services[key] { add(new) }
    }
    for (key, service) in result.services where installed.services[key] == nil { add(service) }
    for (name, pool) in installed.pools {
      guard let new = result.pools[name], new.number == pool.number, new.hash == pool.hash,
        new.slots.count == pool.slots.count
      else {
        pools.insert(name)
        continue
      }
      if new.slots != pool.slots {
        slots[name] = Set(pool.slots.indices.filter { new.slots[$0] != pool.slots[$0] })
      }
    }
    pools.formUnion(result.pools.keys.filter { installed.pools[$0] == nil })
  }

  /// What slots that settle change.
  init(by rewrites: [SlotRewrite]) {
    for rewrite in rewrites { slots[rewrite.pool.name] = Set(rewrite.slots.map(\.index)) }
  }

  var isEmpty: Bool { self == .none }

  mutating func formUnion(_ other: InstalledChanges) {
    areUnknown = areUnknown || other.areUnknown
    backends.formUnion(other.backends)
    services.formUnion(other.services)
    pools.formUnion(other.pools)
    slots.merge(other.slots) { $0.union($1) }
  }

  private mutating func add(_ service: InstalledState.Service) {
    services.insert(service.service.key)
    pools.insert(service.service.pool)
    if let move = service.move { pools.insert(move.pool) }
  }

  /// Whether what a service sent to a backend may be counted elsewhere now.
  func concern(_ pair: ForwardedTotals.Pair) -> Bool {
    areUnknown || services.contains(pair.service) || backends.contains(pair.backend)
  }

  /// The slots of a pool of which a census says nothing.
  func slots(of pool: InstalledState.Pool) -> Set<Int> {
    areUnknown || pools.contains(pool.name) ? Set(pool.slots.indices) : slots[pool.name] ?? []
  }
}
