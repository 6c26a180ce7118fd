// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import Glibc
internal import LoadBalancing

/// Brings what one set of maps holds into another, of other sizes or of the layout before: numbers, generations, slots,
/// names. A map that both sets share is left alone.
///
/// The state comes over while the old set is in force and no daemon changes it; what packets write, which is flows and
/// counts, after the new set is in force and no packet uses the old one any more.
struct CarryOver {
  let old: FormerMaps
  let new: ForwarderMaps
  /// What the old maps hold, as far as it can be believed.
  var installed = InstalledState()

  /// Throws where a limit is lower than what is in use.
  func checkLimits(_ limits: NodeSettings.Limits) throws(DataplaneError) {
    let needed = try inKernel { () throws(BPFError) in try self.needed() }
    for (name, limit, needed) in [
      ("services", limits.services, needed.services), ("pools", limits.pools, needed.pools),
      ("backends", limits.backends, needed.backends), ("slots", limits.slots, needed.slots),
      ("pairs", limits.pairs, needed.pairs), ("flows", limits.flows, needed.flows),
    ] where needed > limit {
      throw .limitBelowUse(limit: name, value: limit, needed: needed)
    }
  }

  /// What each limit must be at least, for the highest numbers in use.
  private func needed() throws(BPFError) -> NodeSettings.Limits {
    let services = installed.services.values
    // Pools are numbered from 0, services and backends from 1.
    var needed = NodeSettings.Limits(
      services: services.map(\.number).max() ?? 0,
      pools: (installed.pools.values.map(\.number).max() ?? -1) + 1,
      backends: Int(installed.backends.keys.max() ?? 0),
      slots: installed.pools.values.map(\.region.upperBound).max() ?? 0, flows: 0,
      pairs: services.flatMap { [$0.pairs.upperBound, $0.move?.pairs.upperBound ?? 0] }.max() ?? 0)
    try old.flows.forEachEntry { _, _ in needed.flows += 1 }
    return needed
  }

  // MARK: State

  /// Copies all that only the daemon writes, word for word.
  func copyState(of old: ForwarderMaps) throws(BPFError) {
    try copy(old.backendNames, new.backendNames)
    try copy(old.backendRecords, old.backends, new.backendRecords, new.backends)
    try copy(old.outerSourceRecords, old.outerSources, new.outerSourceRecords, new.outerSources)
    try copy(old.poolNames, new.poolNames)
    try copy(old.poolRecords, old.pools, new.poolRecords, new.pools)
    try copy(old.slots, old.slotWords, new.slots, new.slotWords)
    try copy(old.hotSlotWords, old.hotSlots.words, new.hotSlotWords, new.hotSlots.words)
    try copy(old.serviceNames, new.serviceNames)
    try copy(old.serviceRecords, old.services, new.serviceRecords, new.services)
    try copy(old.bucketRecords4, old.buckets4, new.bucketRecords4, new.buckets4)
    try copy(old.bucketRecords6, old.buckets6, new.bucketRecords6, new.buckets6)
    try copy(old.services4, new.services4)
    try copy(old.services6, new.services6)
  }

  private func copy<Element: BitwiseCopyable>(
    _ old: BPFMap<UInt32, Element>, _ oldElements: MappedArray<Element>,
    _ new: BPFMap<UInt32, Element>, _ newElements: MappedArray<Element>
  ) throws(BPFError) {
    guard try areTwo(old, new) else { return }
    for index in 0..<min(oldElements.count, newElements.count) { newElements[index] = oldElements[index] }
  }

  func copy(_ old: BPFMap<UInt32, identity>, _ new: BPFMap<UInt32, identity>) throws(BPFError) {
    guard try areTwo(old, new) else { return }
    let names = try old.lookup(0..<min(old.info.maxEntries, new.info.maxEntries))
    for (index, name) in names.enumerated() where name.name.0 != 0 { try new.update(UInt32(index), to: name) }
  }

  private func copy<Key: BitwiseCopyable>(
    _ old: BPFMap<Key, UInt32>, _ new: BPFMap<Key, UInt32>
  ) throws(BPFError) {
    guard try areTwo(old, new) else { return }
    for (key, value) in try old.entries() where value < self.new.services.count {
      try new.update(key, to: value)
    }
  }

  func areTwo(_ old: some KernelMap, _ new: some KernelMap) throws(BPFError) -> Bool {
    try old.info.id != new.info.id
  }

  // MARK: What packets write

  /// Brings over what the old set's last packets left. May be done again after it was done in part: the old set does
  /// not change any more, and nothing in the new one is overwritten that a packet wrote.
  /// - Returns: how many flow entries came over, and how many did not fit.
  func finish(after gracePeriod: GracePeriod) throws(BPFError) -> (flows: Int, withoutRoom: Int) {
    try gracePeriod.wait()
    try copyCounts()
    try copyLastUnknown()
    return try copyFlows()
  }

  /// The new counters began at zero: the old totals become their offsets.
  private func copyCounts() throws(BPFError) {
    guard try areTwo(old.pairCounters, new.pairCounters) else { return }
    let range = 0..<min(old.pairEntries, new.pairEntries)
    let (counted, offsets) = (try old.pairCounters.lookup(range), try old.pairOffsets.lookup(range))
    for pair in offsets.indices {
      let total = counted[pair].reduce(Counter(offsets[pair])) { $0 + Counter($1) }
      if total != Counter() { try new.pairOffsets.update(UInt32(pair), to: total.abi) }
    }
  }

  private func copyLastUnknown() throws(BPFError) {
    guard try areTwo(old.lastUnknown, new.lastUnknown) else { return }
    let range = 0..<min(try old.lastUnknown.info.maxEntries, try new.lastUnknown.info.maxEntries)
    for (index, seen) in try old.lastUnknown.lookup(range).enumerated() where seen != 0 {
      if try new.lastUnknown.lookup(UInt32(index)) == 0 {
        try new.lastUnknown.update(UInt32(index), to: seen)
      }
    }
  }

  private func copyFlows() throws(BPFError) -> (flows: Int, withoutRoom: Int) {
    guard try areTwo(old.flows, new.flows) else { return (0, 0) }
    var copied = 0
    var withoutRoom = 0
    for (key, flow) in try old.flows.entries() {
      do throws(BPFError) {
        try new.flows.update(key, to: flow, when: .noExist)
        copied += 1
      } catch {
        switch error.errno {
        case EEXIST: continue
        case E2BIG: withoutRoom += 1
        default: throw error
        }
      }
      FaultPoint.amongFlows.pass()
    }
    return (copied, withoutRoom)
  }
}
