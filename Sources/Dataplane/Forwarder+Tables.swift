// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

/// Forwarding tables.
extension Forwarder {
  /// Writes a table into slots that no pool names, reads it back, and puts it in force by one store for the pool and
  /// one for each of its services. Each packet sees the former table or this one.
  func publish(_ pool: InstalledState.Pool) throws(DataplaneError) {
    let words = pool.slots.map(\.word)
    maps.slotWords.withElements(pool.region) { span in
      for index in words.indices {
        span[index] = words[index]
        if index == words.count / 2 { FaultPoint.amongSlots.pass() }
      }
    }
    let hot = pool.slots.map(maps.hotSlot)
    maps.hotSlots.write(hot, from: pool.firstSlot)
    let sum = zip(words, hot).reduce(0 as UInt64) { slot_sum($0, $1.0, $1.1) }
    guard try self.sum(ofSlots: pool.region) == sum else {
      throw .readBack("the table of pool \(pool.name)")
    }
    try writeName(of: pool)
    FaultPoint.beforeFlip.pass()
    // The pool first: the next start gives services with the former table that of their pool.
    maps.pools.storeWord(pool.tableWord, element: pool.number, byteOffset: Self.tableOffset)
    FaultPoint.amongFlips.pass()
    for id in try services(ofPool: pool.number) {
      maps.services.storeWord(pool.tableWord, element: id, byteOffset: Self.serviceTableOffset)
    }
    // After the table: where slots are to remember longer, it says which of them had settled.
    setSettle(of: pool)
    FaultPoint.afterFlip.pass()
  }

  func writeName(of pool: InstalledState.Pool) throws(DataplaneError) {
    try inKernel { () throws(BPFError) in
      try maps.poolNames.update(UInt32(pool.number), to: identity(pool.name))
    }
  }

  /// Stores the ticks after which changed slots settle.
  func setSettle(of pool: InstalledState.Pool) {
    let settle = UInt64(clock.ticks(seconds: pool.settle))
    maps.pools.storeWord(settle, element: pool.number, byteOffset: Self.settleOffset)
  }

  func record(_ installed: InstalledState.Pool) -> pool {
    pool(installed, settle: clock.ticks(seconds: installed.settle))
  }

  /// Writes slots that became settling or stable. Each is one store, and its current backend is unchanged.
  public func rewrite(_ slots: [(index: Int, slot: Slot)], of pool: InstalledState.Pool) {
    for (index, slot) in slots { maps.storeSlot(slot, at: pool.firstSlot + index) }
  }

  func releasePool(_ number: Int) throws(DataplaneError) {
    maps.pools.storeWord(0, element: number, byteOffset: Self.tableOffset)
    try inKernel { () throws(BPFError) in try maps.poolNames.update(UInt32(number), to: identity("")) }
  }

  static var tableOffset: Int { MemoryLayout<pool>.offset(of: \.table)! }
  static var settleOffset: Int { MemoryLayout<pool>.offset(of: \.settle)! }
  static var serviceTableOffset: Int { MemoryLayout<service>.offset(of: \.table)! }
}
