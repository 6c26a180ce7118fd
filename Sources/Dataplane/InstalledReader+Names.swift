// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Names of pools. No two pools have the same.
extension InstalledReader {
  /// The names that are not empty, by their index.
  func rawNames(
    _ map: BPFMap<UInt32, identity>, below count: Int
  ) throws(DataplaneError) -> [Int: String] {
    let all = try inKernel { () throws(BPFError) in
      try map.lookup(0..<min(map.info.maxEntries, UInt32(clamping: count)))
    }
    var names: [Int: String] = [:]
    for (index, identity) in all.enumerated() where identity.name.0 != 0 { names[index] = identity.text }
    return names
  }

  /// A pool without a name of its own has the name that most of its backends give. Where several pools claim one name,
  /// it belongs to the pool with a table whose backends give it, and the others are without a name of their own. A
  /// renaming interrupted halfway never leaves two pools of one name, because no pool takes the name of another.
  mutating func readPoolNames(_ backends: [Int: String]) throws(DataplaneError) -> [Int: String] {
    let raw = try rawNames(maps.poolNames, below: maps.pools.count)
    var claims: [String: [Int]] = [:]
    var unnamed: [Int] = []
    for (number, name) in raw.sorted(by: { $0.key < $1.key }) {
      if isObjectName(name) { claims[name, default: []].append(number) } else { unnamed.append(number) }
    }
    unnamed += (0..<maps.pools.count).filter { raw[$0] == nil && region(of: $0) != nil }
    guard !unnamed.isEmpty || claims.values.contains(where: { $0.count > 1 }) else {
      return raw
    }
    let votes = votes(backends)
    let named = votes.mapValues { $0.max { ($0.value, $1.key) < ($1.value, $0.key) }!.key }
    for number in unnamed {
      if let name = named[number] { claims[name, default: []].append(number) }
    }
    // A pool with a table comes first: a crash while a pool is released leaves a name without a table.
    func weight(_ number: Int, _ name: String) -> (Int, Int, Int, Int, Int) {
      let count = votes[number]?[name] ?? 0
      return (region(of: number) == nil ? 0 : 1, min(count, 1), raw[number] == name ? 1 : 0, count, -number)
    }
    var names: [Int: String] = [:]
    for (name, numbers) in claims {
      names[numbers.max { weight($0, name) < weight($1, name) }!] = name
    }
    var taken = Set(names.values)
    for number in (0..<maps.pools.count) where names[number] == nil || names[number] != raw[number] {
      if names[number] == nil, let name = named[number], taken.insert(name).inserted { names[number] = name }
      if let name = names[number] {
        doubt("the name of pool \(number), which is \(name) by its backends")
      } else if raw[number] != nil {
        doubt("the name of pool \(number)")
      }
    }
    return names
  }

  /// How many backends of each pool number name which pool.
  private func votes(_ backends: [Int: String]) -> [Int: [String: Int]] {
    var votes: [Int: [String: Int]] = [:]
    for (number, text) in backends where number != Int(BACKEND_NONE) {
      guard let name = BackendIdentity(text) else { continue }
      votes[Int(maps.backends[number].pool), default: [:]][name.pool, default: 0] += 1
    }
    return votes
  }
}
