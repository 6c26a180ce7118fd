// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Tables. If two pools claim the same slots, one of them is right.
extension InstalledReader {
  /// The slots that a pool's record names; nil where it names none, or some that there are not.
  func region(of number: Int) -> Range<Int>? {
    let table = maps.pools.loadWord(element: number, byteOffset: Forwarder.tableOffset)
    let (first, count) = (Int(table_first(table)), Int(table_size(table)))
    guard count > 0, first + count <= maps.slotWords.count else { return nil }
    return first..<(first + count)
  }

  mutating func readPools() {
    var candidates: [(pool: InstalledState.Pool, own: Double, damaged: Int)] = []
    findOwners()
    for (number, name) in poolNames.sorted(by: { $0.key < $1.key }) {
      guard let region = region(of: number) else {
        // A crash before a pool's first table is in force leaves a name without a table.
        if maps.pools.loadWord(element: number) != 0 { doubt("the record of pool \(name)") }
        continue
      }
      candidates.append(candidate(number, name, region))
    }
    // Of two pools that claim the same slots, those are the slots of the one whose backends they name.
    for (pool, _, damaged) in candidates.sorted(by: { ($0.own, $1.pool.number) > ($1.own, $0.pool.number) }) {
      let overlaps = reading.state.pools.values.contains { $0.region.overlaps(pool.region) }
      guard !overlaps else {
        doubt("the table of pool \(pool.name)")
        continue
      }
      if damaged > 0 { doubt("\(damaged) slots of pool \(pool.name)") }
      reading.state.pools[pool.name] = pool
    }
  }

  /// A backend belongs to the pool that its name gives. Where there is no such pool, it belongs to the one that its
  /// record gives, if that pool's table names it: a daemon that dies while it renames a pool leaves such backends. A
  /// backend that no table names may have outlived its pool, and the pool's number may be another's by now.
  private mutating func findOwners() {
    let numbers = Dictionary(uniqueKeysWithValues: poolNames.map { ($0.value, $0.key) })
    owners = [Int](repeating: -1, count: maps.backends.count)
    var others: [Int: [InstalledState.Backend]] = [:]
    for backend in reading.state.backends.values.sorted(by: { $0.number < $1.number }) {
      if let number = numbers[backend.pool] {
        owners[Int(backend.number)] = number
      } else {
        others[Int(maps.backends[Int(backend.number)].pool), default: []].append(backend)
      }
    }
    for (number, backends) in others.sorted(by: { $0.key < $1.key }) {
      guard let name = poolNames[number], let region = region(of: number) else { continue }
      let named = backendsNamed(in: region)
      for backend in backends where named.contains(backend.number) && adopt(backend, into: name) {
        owners[Int(backend.number)] = number
      }
    }
  }

  private func backendsNamed(in region: Range<Int>) -> Set<BackendNumber> {
    maps.slotWords.withElements(region) { words in
      var named: Set<BackendNumber> = []
      for index in words.indices {
        let slot = Slot(word: words[index])
        named.insert(slot.current)
        named.insert(slot.previous)
      }
      return named
    }
  }

  /// - Returns: also which share of the slots names backends of the pool or none, and how many slots are damaged.
  private mutating func candidate(
    _ number: Int, _ name: String, _ region: Range<Int>
  ) -> (pool: InstalledState.Pool, own: Double, damaged: Int) {
    let record = maps.pools[number]
    var (slots, own, damaged) = ([Slot](), 0, 0)
    slots.reserveCapacity(region.count)
    // From the mapping: a system call for each of many million slots would take seconds.
    maps.slotWords.withElements(region) { [owners] words in
      for index in words.indices {
        let found = Slot(word: words[index])
        let slot = found.believed { $0 == 0 || $0 < owners.count && owners[Int($0)] == number }
        own += slot.current == found.current ? 1 : 0
        damaged += slot == found ? 0 : 1
        slots.append(slot)
      }
    }
    let pool = InstalledState.Pool(
      number: number, name: name, hash: HashFields(ofTable: record.table), firstSlot: region.lowerBound,
      slots: slots, settle: clock.seconds(ticks: UInt32(clamping: record.settle)))
    return (pool, Double(own) / Double(region.count), damaged)
  }
}

extension Slot {
  /// The slot with what can be true of it: backends that are the pool's, a state that there is.
  fileprivate func believed(_ isOwn: (BackendNumber) -> Bool) -> Slot {
    guard isOwn(current) else { return Slot(current: 0) }
    if state == .stable { return Slot(current: current) }
    return isOwn(previous) ? self : Slot(current: current, state: state, since: since)
  }
}
