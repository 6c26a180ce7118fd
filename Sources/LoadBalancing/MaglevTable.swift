// SPDX-License-Identifier: Apache-2.0

/// Which member owns each slot: Maglev hashing (Eisenbud et al., NSDI 2016, §3.4) with an exact quota per member.
///
/// Every member has a quota of slots by its weight (largest remainder, so exact to one slot) and a preference order
/// over all slots, derived from its address. Members follow their orders in turns, as often as their weight asks, and
/// take free slots until their quota is full. The result depends on addresses, weights and size alone, not on the order
/// in which members are given.
///
/// Maglev's own turns go on until a slot is won. Counting every slot looked at as a turn halves what a change moves
/// between members that did not change: 0.3 % instead of 0.6 % of all slots when one of 100 goes.
public struct MaglevTable: Equatable, Sendable {
  public struct Member: Hashable, Sendable {
    /// The backend's address; unique among the members.
    public var address: IPAddress
    public var weight: Weight

    public init(address: IPAddress, weight: Weight) {
      self.address = address
      self.weight = weight
    }

    /// What the preference order is derived from: the 16 octets of ``IPAddress/mappedOctets`` as a number, the first
    /// octet the most significant. A wire contract of the fleet (docs/affinity.md, "Table").
    var key: UInt128 { address.mappedBits }
  }

  /// For each slot the index of its owner among the members given, or -1 where there is none.
  public let owners: [Int32]

  /// - Parameters:
  ///   - members: those with weight 0 own no slots; if all weights are 0, no slot has an owner.
  ///   - size: number of slots, a prime.
  public static func build(_ members: [Member], size: Int) -> MaglevTable {
    let order = members.indices.filter { members[$0].weight > 0 }.sorted { members[$0].key < members[$1].key }
    guard !order.isEmpty else { return MaglevTable(owners: [Int32](repeating: -1, count: size)) }
    let quotas = quotas(of: order.map { members[$0].weight }, size: size)
    let walks = zip(order, quotas).map { index, quota in
      Walk(
        owner: Int32(index), key: members[index].key, weight: members[index].weight, quota: quota, size: size)
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

  /// A member's position in its preference order.
  private struct Walk {
    let owner: Int32
    let weight: Int
    let skip: Int
    var position: Int
    /// Slots of its quota still to be taken.
    var open: Int
    /// What is left over of the turns due, in weights.
    var credit = 0

    init(owner: Int32, key: UInt128, weight: Weight, quota: Int, size: Int) {
      let hash = keyHash(key)
      self.owner = owner
      self.weight = weight
      position = Int(hash.0 % UInt64(size))
      skip = size > 1 ? Int(hash.1 % UInt64(size - 1)) + 1 : 0
      open = quota
    }
  }

  /// Turns in a round of a member whose weight is the unit. More make the fill faster, up to where a round is the
  /// whole walk.
  private static let turnsPerRound = 64

  /// A power of two, so that few changes of the heaviest member change everybody's turns.
  private static func unit(of heaviest: Weight) -> Weight {
    1 << (Int.bitWidth - (heaviest - 1).leadingZeroBitCount)
  }

  private static func fill(size: Int, walks: [Walk]) -> [Int32] {
    var walks = walks.filter { $0.open > 0 }
    var taken = [UInt64](repeating: 0, count: size / 64 + 1)
    return unsafe [Int32](unsafeUninitializedCapacity: size) { owners, count in
      unsafe owners.initialize(repeating: -1)
      unsafe taken.withUnsafeMutableBufferPointer { taken in
        while let heaviest = walks.map(\.weight).max() {
          let unit = unit(of: heaviest)
          unsafe walks.withUnsafeMutableBufferPointer { walks in
            for index in walks.indices {
              let due = unsafe walks[index].credit + walks[index].weight * turnsPerRound
              unsafe walks[index].credit = due % unit
              unsafe advance(&walks[index], turns: due / unit, size, taken, owners)
            }
          }
          walks.removeAll { $0.open == 0 }
        }
      }
      count = size
    }
  }

  /// Each turn looks at one slot, be it free or not: so a slot won or lost does not delay those that follow, and a
  /// change of one member stays small in the others.
  @inline(__always)
  private static func advance(
    _ walk: inout Walk, turns: Int, _ size: Int, _ taken: UnsafeMutableBufferPointer<UInt64>,
    _ owners: UnsafeMutableBufferPointer<Int32>
  ) {
    var slot = walk.position
    var open = walk.open
    for _ in 0..<turns {
      let word = unsafe taken[slot &>> 6]
      let bit = 1 &<< UInt64(truncatingIfNeeded: slot)
      if word & bit == 0 {
        unsafe taken[slot &>> 6] = word | bit
        unsafe owners[slot] = walk.owner
        open -= 1
        if open == 0 { break }
      }
      slot += walk.skip
      if slot >= size { slot -= size }
    }
    walk.position = slot
    walk.open = open
  }

  /// Two independent 64-bit hashes of a key: FNV-1a over its 16 octets, the most significant first, finished twice with
  /// the mixing steps of SplitMix64.
  private static func keyHash(_ key: UInt128) -> (UInt64, UInt64) {
    var fnv: UInt64 = 0xcbf2_9ce4_8422_2325
    for shift in stride(from: 120, through: 0, by: -8) {
      fnv = (fnv ^ UInt64(UInt8(truncatingIfNeeded: key >> UInt128(shift)))) &* 0x100_0000_01b3
    }
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
