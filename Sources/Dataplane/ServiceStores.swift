// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI

extension service {
  /// The stores that turn `old` into this record, in their order: packets read it meanwhile, and the daemon may die.
  ///
  /// They go from the last word down, so that the binding comes when all is there that packets need with it. Where the
  /// binding's run of pair counters begins lies in another word than how many it has, which only the daemon reads. Until
  /// the binding is the new one, that is the smaller number of both; the new one comes at the very end. What the next
  /// daemon finds after a death is so a part of the old run or of the new one. A larger number could reach into another
  /// service's run, and nothing would part the two again.
  func stores(over old: service) -> [(offset: Int, word: UInt64)] {
    var between = self
    between.pair_count = min(pair_count, old.pair_count)
    var stores = stride(from: MemoryLayout<service>.size - 8, through: 0, by: -8).map { offset in
      (offset: offset, word: word(of: between, at: offset))
    }
    let count = MemoryLayout<service>.offset(of: \.pair_count)!
    stores.append((offset: count, word: word(of: self, at: count)))
    return stores
  }
}
