// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The ids of services: the indices of their records.
///
/// A service has a number and two ids, twice the number and the one after it, of which one is in use. If more of a
/// record changes than its table, it is not rewritten: the service gets its other id.
struct ServiceIDs {
  /// How many ids there must be for numbers up to `services`.
  static func count(services: Int) -> Int { 2 * (services + 1) }

  static func number(of id: Int) -> Int { id / 2 }

  /// The ids in use, by number.
  private(set) var ids: [Int: Int] = [:]
  /// The pool of each number in use, by the pool's number.
  private var pools: [Int: Int] = [:]
  /// The ids in use of the services of each pool.
  private var byPool: [Int: Set<Int>] = [:]
  /// Ids whose records packets may still be reading.
  private(set) var retired: Set<Int> = []

  init() {}

  /// The ids that the maps' keys lead to.
  init(_ maps: ForwarderMaps) throws(BPFError) {
    var found: [Int] = []
    try maps.services4.forEachEntry { _, id in found.append(Int(id)) }
    try maps.services6.forEachEntry { _, id in found.append(Int(id)) }
    for id in found where id >= 2 && id < maps.services.count {
      assign(id, pool: Int(maps.services[id].binding & 0xffff_ffff))
    }
  }

  func ids(ofPool number: Int) -> Set<Int> { byPool[number] ?? [] }

  /// An id of the service that it does not have; nil where packets may still be reading each of them.
  func fresh(of number: Int) -> Int? {
    [2 * number, 2 * number + 1].first { $0 != ids[number] && !retired.contains($0) }
  }

  /// Records that the service whose id it is uses it now.
  mutating func assign(_ id: Int, pool: Int) {
    retire(Self.number(of: id))
    ids[Self.number(of: id)] = id
    pools[Self.number(of: id)] = pool
    byPool[pool, default: []].insert(id)
  }

  /// Records that the service no longer uses its id.
  mutating func retire(_ number: Int) {
    guard let id = ids.removeValue(forKey: number) else { return }
    retired.insert(id)
    if let pool = pools.removeValue(forKey: number) { byPool[pool]?.remove(id) }
  }

  /// To be called when no packet reads any more what it read before.
  mutating func readersAreGone() { retired = [] }
}
