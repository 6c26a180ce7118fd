// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// What maps hold, as far as it can be believed.
struct InstalledReading {
  var state = InstalledState()
  /// What was not believed, a sentence each.
  var findings: [String] = []
}

/// Reads maps that another process may have written.
///
/// This is the one place where numbers, names and addresses of the maps are checked. What comes out of it is consistent:
/// every number is within its map and used once, every name can be one, slots name backends of their own pool, runs of
/// counters do not overlap. What cannot be believed is left out or put right from the desired state, and told as a
/// finding; ``Forwarder/repair(_:parts:nextHops:)`` brings the maps to what was read.
struct InstalledReader {
  let maps: ForwarderMaps
  let clock: PacketClock
  /// What the maps should hold by the configuration: it settles what a damaged record leaves open.
  let expected: DesiredState
  var reading = InstalledReading()
  /// Pools by their numbers, as far as they have a name.
  var poolNames: [Int: String] = [:]
  /// The pool that each backend number belongs to, by the pool's number; -1: none that has one.
  var owners: [Int] = []
  /// Names of backends that do not leave.
  private var present: Set<BackendKey> = []
  /// The same with what makes them another backend: a change of address has two of one name for a moment.
  private var identities: Set<Identity> = []
  /// Which pair counters have an owner.
  var isPairTaken: [Bool]
  let serviceNames: [VirtualService.Key: String]

  private struct Identity: Hashable {
    var name: BackendKey
    var address: IPAddress
    var encapsulation: Encapsulation
  }

  init(_ maps: ForwarderMaps, _ clock: PacketClock, expecting expected: DesiredState) {
    self.maps = maps
    self.clock = clock
    self.expected = expected
    isPairTaken = [Bool](repeating: false, count: Int(maps.pairEntries))
    serviceNames = Dictionary(
      expected.services.map { ($0.key, $0.name) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func read() throws(DataplaneError) -> InstalledReading {
    let backends = try rawNames(maps.backendNames, below: maps.backends.count)
    poolNames = try readPoolNames(backends)
    readBackends(backends)
    readPools()
    try readServices()
    giveOwnPairs()
    return reading
  }

  mutating func doubt(_ finding: String) { reading.findings.append(finding) }

  // MARK: Backends

  private mutating func readBackends(_ names: [Int: String]) {
    var doubtful: [(number: Int, name: BackendIdentity?)] = []
    for (number, text) in names.sorted(by: { $0.key < $1.key }) {
      guard number != Int(BACKEND_NONE) else {
        doubt("a name of backend 0, which is none")
        continue
      }
      let name = BackendIdentity(text)
      if let name, let backend = believed(number, name) {
        enter(backend)
      } else {
        doubtful.append((number, name))
      }
    }
    // Only now, so that nothing that can be believed gives way to a guess.
    for (number, name) in doubtful { enterDoubtful(number, name) }
  }

  private mutating func enter(_ backend: InstalledState.Backend) {
    reading.state.backends[backend.number] = backend
    guard !backend.isLeaving else { return }
    let name = BackendKey(pool: backend.pool, backend: backend.name)
    present.insert(name)
    identities.insert(
      Identity(name: name, address: backend.address, encapsulation: backend.encapsulation))
  }

  /// The backend that a record describes; nil where that is not one.
  private func believed(_ number: Int, _ name: BackendIdentity) -> InstalledState.Backend? {
    let record = maps.backends[number]
    guard record.isBelievable(in: maps) else { return nil }
    let found = backend(number, name, record)
    let identity = Identity(
      name: BackendKey(pool: name.pool, backend: name.backend), address: found.address,
      encapsulation: found.encapsulation)
    return found.isLeaving || !identities.contains(identity) ? found : nil
  }

  private func backend(
    _ number: Int, _ name: BackendIdentity, _ record: backend
  ) -> InstalledState.Backend {
    var encapsulation = record.encapsulation ?? Encapsulation()
    let prefix = record.sourcePrefix(in: maps)
    if record.family == .v4 { encapsulation.source4 = prefix } else { encapsulation.source6 = prefix }
    return InstalledState.Backend(
      number: BackendNumber(number), pool: name.pool, name: name.backend, address: record.address,
      encapsulation: encapsulation, isUsable: record.isUsable, pair: Int(record.pair),
      isLeaving: record.isLeaving, isDraining: record.isDraining || record.isLeaving)
  }

  /// A backend whose name or record cannot be believed, put right from the other and from what is desired.
  private mutating func enterDoubtful(_ number: Int, _ name: BackendIdentity?) {
    let record = maps.backends[number]
    if record.isBelievable(in: maps) {
      // The name is damaged, or another backend's: packets go on to the address.
      guard let pool = name?.pool ?? poolNames[Int(record.pool)] else {
        doubt("backend \(number): neither its name nor its pool is known")
        return
      }
      let wanted = expected.pool(named: pool)?.backends.first {
        $0.address == record.address && !isInstalled($0.name, in: pool)
      }
      var found = backend(number, BackendIdentity(pool, wanted?.name ?? "lost-\(number)"), record)
      if wanted == nil { (found.isLeaving, found.isDraining) = (true, true) }
      enter(found)
      doubt("the name of backend \(number), now \(found.pool)/\(found.name)")
    } else if let name, let pool = expected.pool(named: name.pool),
      let wanted = pool.backend(named: name.backend), !isInstalled(name.backend, in: name.pool)
    {
      // Its slots and flow entries stay: they name the number.
      enter(
        InstalledState.Backend(
          number: BackendNumber(number), pool: name.pool, name: name.backend, address: wanted.address,
          encapsulation: pool.encapsulation.towards(wanted.address.family), isUsable: wanted.isUsable,
          pair: Int(record.pair), isDraining: wanted.state == .drain))
      doubt("the record of backend \(name)")
    } else {
      doubt("the record of backend \(name.map { "\($0)" } ?? "\(number)")")
    }
  }

  /// Enters a backend whose name gives another pool into this one.
  /// - Returns: whether it can belong there, because no other backend of the pool is the same.
  mutating func adopt(_ backend: InstalledState.Backend, into pool: String) -> Bool {
    backend.isLeaving
      || identities.insert(
        Identity(
          name: BackendKey(pool: pool, backend: backend.name), address: backend.address,
          encapsulation: backend.encapsulation)
      ).inserted
  }

  private func isInstalled(_ name: String, in pool: String) -> Bool {
    present.contains(BackendKey(pool: pool, backend: name))
  }

  /// Gives each backend a place among its pool's counters that no other one has. The runs of the pool's services have
  /// a counter for each place; the run of a service that moved away may be narrower. A backend counts in the pool that it
  /// belongs to, whatever pool its name gives.
  private mutating func giveOwnPairs() {
    let runs = Dictionary(grouping: reading.state.services.values, by: \.service.pool)
      .mapValues { $0.map(\.pairCount).max() ?? 0 }
    let groups = Dictionary(grouping: reading.state.backends.values) { [owners, poolNames] in
      poolNames[owners[Int($0.number)]] ?? $0.pool
    }
    for (pool, backends) in groups {
      var taken: Set<Int> = []
      var homeless: [BackendNumber] = []
      for backend in backends.sorted(by: { $0.number < $1.number }) {
        let limit = runs[pool].flatMap { $0 > 0 ? $0 : nil } ?? maps.backends.count
        if backend.pair >= limit || !taken.insert(backend.pair).inserted { homeless.append(backend.number) }
      }
      var free = 0
      for number in homeless {
        while taken.contains(free) { free += 1 }
        taken.insert(free)
        reading.state.backends[number]?.pair = free
        doubt("the counters of backend \(number) in pool \(pool)")
      }
    }
  }
}

/// A backend's name in the maps: `POOL/BACKEND`.
struct BackendIdentity: CustomStringConvertible {
  var pool: String
  var backend: String

  init(_ pool: String, _ backend: String) { (self.pool, self.backend) = (pool, backend) }

  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ isObjectName($0) }) else { return nil }
    self.init(String(parts[0]), String(parts[1]))
  }

  var description: String { "\(pool)/\(backend)" }
}

extension backend {
  /// Whether packets can be sent by it.
  fileprivate func isBelievable(in maps: ForwarderMaps) -> Bool {
    guard encapsulation != nil, address.isUnicast else { return false }
    return isOfInterface || sourcePrefix(in: maps) != nil
  }

  /// The configured source prefix, if it has one that can be.
  fileprivate func sourcePrefix(in maps: ForwarderMaps) -> IPPrefix? {
    guard !isOfInterface, Int(source_length) <= family.bitWidth,
      let source = OuterSources.source(of: self, in: maps)
    else { return nil }
    return IPPrefix(source, length: Int(source_length))
  }
}
