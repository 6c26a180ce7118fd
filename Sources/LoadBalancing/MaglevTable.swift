// SPDX-License-Identifier: Apache-2.0

/// Which member owns each slot: Maglev hashing (Eisenbud et al., NSDI 2016, §3.4) with an exact quota per member.
///
/// Every member has a quota of slots by its weight (largest remainder, so exact to one slot) and a preference order
/// over all slots by its key. Members take their next preferred free slot in turns, as far as the share of their
/// quota that is due in that turn. The result depends on keys, weights and size alone, not on the members' order.
public struct MaglevTable: Equatable, Sendable {
  public struct Member: Hashable, Sendable {
    /// What the preference order is derived from; unique among the members.
    public var key: String
    public var weight: Weight

    public init(key: String, weight: Weight) {
      self.key = key
      self.weight = weight
    }
  }

  /// For each slot the index of its owner among the members given, or -1 where there is none.
  public let owners: [Int32]

  /// - Parameters:
  ///   - members: those with weight 0 own nothing; if all have, nobody owns anything.
  ///   - size: number of slots, a prime.
  public static func build(_ members: [Member], size: Int) -> MaglevTable {
    let order = members.indices.filter { members[$0].weight > 0 }.sorted { members[$0].key < members[$1].key }
    guard !order.isEmpty else { return MaglevTable(owners: [Int32](repeating: -1, count: size)) }
    let quotas = quotas(of: order.map { members[$0].weight }, size: size)
    let walks = zip(order, quotas).map { index, quota in
      Walk(owner: Int32(index), key: members[index].key, quota: quota, size: size)
    }
    return MaglevTable(owners: fill(size: size, walks: walks))
  }

  /// Slots per member, summing up to `size`: proportional to the weights, the remainders' largest first.
  static func quotas(of weights: [Weight], size: Int) -> [Int] {
    let total = weights.reduce(0, +)
    var quotas = weights.map { size * $0 / total }
    let left = size - quotas.reduce(0, +)
    let byRemainder = weights.indices.sorted { a, b in
      let (left, right) = (size * weights[a] % total, size * weights[b] % total)
      return left != right ? left > right : a < b
    }
    for index in byRemainder.prefix(left) { quotas[index] += 1 }
    return quotas
  }

  /// A member's way through its preference order.
  private struct Walk {
    let owner: Int32
    let quota: Int
    let skip: Int
    var position: Int
    var taken = 0

    init(owner: Int32, key: String, quota: Int, size: Int) {
      let hash = keyHash(key)
      self.owner = owner
      self.quota = quota
      position = Int(hash.0 % UInt64(size))
      skip = size > 1 ? Int(hash.1 % UInt64(size - 1)) + 1 : 0
    }
  }

  private static func fill(size: Int, walks: [Walk]) -> [Int32] {
    var walks = walks
    let rounds = walks.map(\.quota).max() ?? 0
    var taken = [UInt64](repeating: 0, count: size / 64 + 1)
    return [Int32](unsafeUninitializedCapacity: size) { owners, count in
      unsafe owners.initialize(repeating: -1)
      unsafe walks.withUnsafeMutableBufferPointer { walks in
        unsafe taken.withUnsafeMutableBufferPointer { taken in
          for round in 1...max(rounds, 1) {
            for index in walks.indices {
              unsafe advance(&walks[index], until: walks[index].quota * round / rounds, size, taken, owners)
            }
          }
        }
      }
      count = size
    }
  }

  @inline(__always)
  private static func advance(
    _ walk: inout Walk, until due: Int, _ size: Int, _ taken: UnsafeMutableBufferPointer<UInt64>,
    _ owners: UnsafeMutableBufferPointer<Int32>
  ) {
    while walk.taken < due {
      var slot = walk.position
      while unsafe taken[slot >> 6] & (1 << UInt64(slot & 63)) != 0 {
        slot += walk.skip
        if slot >= size { slot -= size }
      }
      unsafe taken[slot >> 6] |= 1 << UInt64(slot & 63)
      unsafe owners[slot] = walk.owner
      walk.taken += 1
      slot += walk.skip
      walk.position = slot >= size ? slot - size : slot
    }
  }

  /// Two independent 64-bit hashes of a key: FNV-1a, finished twice with the mixing steps of SplitMix64.
  private static func keyHash(_ key: String) -> (UInt64, UInt64) {
    let fnv = key.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return (mix(fnv &+ 0x9e37_79b9_7f4a_7c15), mix(fnv &+ 0x3c6e_f372_fe94_f82a))
  }
}

/// The finisher of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection in which every input bit reaches every
/// output bit.
public func mix(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}
