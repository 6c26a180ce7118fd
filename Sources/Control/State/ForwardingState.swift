// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What the data plane forwards, and what it should.
struct ForwardingState: Sendable {
  var installed = InstalledState() { didSet { summarizeTables(after: oldValue) } }
  /// A summary of each installed pool's table, made when the table changes. Ticks and answers read it and do not scan the
  /// slots, of which there may be millions.
  private(set) var tables: [String: TableSummary] = [:]
  /// The configuration with the overrides and the decision of the health checks applied.
  var desired = DesiredState()
  /// The state whose plan had ``installed`` as its result; nil: not known.
  var fulfilled: DesiredState?
  /// The next hops that backends' packets are given, as far as is known. A path in ``Snapshot/uplinks`` may be newer: it
  /// is written after the turn that found it.
  private(set) var nextHops: [BackendNumber: NextHopState] = [:]
  /// Why the last plan was not made or not applied; nil: it was.
  var applyTrouble: String?

  /// Whether the data plane forwards what is desired.
  var isFulfilled: Bool { fulfilled == desired }

  /// A table that is the same array as before costs nothing.
  private mutating func summarizeTables(after before: InstalledState) {
    for (name, pool) in installed.pools where before.pools[name]?.slots != pool.slots {
      tables[name] = TableSummary(of: pool.slots)
    }
    guard tables.count > installed.pools.count else { return }
    tables = tables.filter { installed.pools[$0.key] != nil }
  }

  /// Slots have settled.
  mutating func rewrite(_ rewrites: [SlotRewrite]) {
    var settled = installed
    for rewrite in rewrites {
      var slots = rewrite.pool.slots
      for (index, slot) in rewrite.slots { slots[index] = slot }
      settled.pools[rewrite.pool.name]?.slots = slots
    }
    installed = settled
  }

  /// Puts the result of a plan in place of what was installed.
  /// - Parameter given: the next hops that the plan's new backends were given, by address.
  /// - Returns: the backends whose next hop has to be looked at again, for paths may have changed since the plan was
  ///   made.
  mutating func install(_ result: InstalledState, _ given: [IPAddress: NextHopState]) -> NextHopsWanted {
    // Of what an earlier daemon installed, or what was read back, no next hop is known.
    let wanted = nextHops.isEmpty ? NextHopsWanted.all : .none
    guard !result.sharesBackends(with: installed) else {
      installed = result
      return wanted
    }
    var added: Set<BackendNumber> = []
    for (number, backend) in result.backends where installed.backends[number] == nil {
      nextHops[number] = given[backend.address]
      added.insert(number)
    }
    installed = result
    forgetNextHopsOfReleased()
    return wanted.union(.of(added))
  }

  /// Takes over what was read back: which next hops it has is not known.
  mutating func readBack(_ found: InstalledState) {
    installed = found
    nextHops = [:]
  }

  mutating func record(nextHops written: [BackendNumber: NextHopState]) {
    nextHops.merge(written) { $1 }
    forgetNextHopsOfReleased()
  }

  private mutating func forgetNextHopsOfReleased() {
    guard nextHops.keys.contains(where: { installed.backends[$0] == nil }) else { return }
    nextHops = nextHops.filter { installed.backends[$0.key] != nil }
  }

  /// What is to be written so that these backends have the next hops of their paths.
  func nextHopsDue(_ wanted: NextHopsWanted, _ uplinks: Uplinks) -> [BackendNumber: NextHopState] {
    var due: [BackendNumber: NextHopState] = [:]
    func add(_ number: BackendNumber, _ backend: InstalledState.Backend) {
      guard let path = uplinks.nextHop(to: backend.address), path.mac != nil, path != nextHops[number]
      else { return }
      due[number] = path
    }
    switch wanted {
    case .of(let numbers):
      for number in numbers { if let backend = installed.backends[number] { add(number, backend) } }
    case .all: for (number, backend) in installed.backends { add(number, backend) }
    }
    return due
  }

  /// Pools that have a table, and pools with backends that are leaving.
  var presentPools: Set<String> { Set(installed.pools.keys).union(installed.index.members.keys) }
}

/// The backends whose next hops may have to be written.
enum NextHopsWanted: Equatable, Sendable {
  case of(Set<BackendNumber>)
  case all

  static let none = NextHopsWanted.of([])

  func union(_ other: NextHopsWanted) -> NextHopsWanted {
    guard case (.of(let numbers), .of(let others)) = (self, other) else { return .all }
    return .of(numbers.union(others))
  }
}
