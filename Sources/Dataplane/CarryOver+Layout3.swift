// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// From layout 3 into the present one. Services get the first of their ids, and their buckets; hot slots follow from
/// slots.
extension CarryOver {
  /// Throws where a limit is lower than the highest number in use in layout 3.
  func checkLimits(_ limits: NodeSettings.Limits, of old: Layout3Maps) throws(DataplaneError) {
    let needed = try inKernel { () throws(BPFError) in try old.needed() }
    for (name, limit, needed) in [
      ("services", limits.services, needed.services), ("pools", limits.pools, needed.pools),
      ("backends", limits.backends, needed.backends), ("slots", limits.slots, needed.slots),
      ("pairs", limits.pairs, needed.pairs),
    ] where needed > limit {
      throw .limitBelowUse(limit: name, value: limit, needed: needed)
    }
  }

  func convertState(of old: Layout3Maps) throws(BPFError) {
    try copy(old.backendNames, new.backendNames)
    try copy(old.poolNames, new.poolNames)
    try copy(old.serviceNames, new.serviceNames)
    if try areTwo(old.slots, new.slots) {
      for (index, word) in try old.allSlots().enumerated() where word != 0 && index < new.slotWords.count {
        new.slotWords.storeWord(word, element: index)
      }
    }
    convert(try old.allBackends())
    for (index, pool) in try old.allPools().enumerated() where pool.table != 0 && index < new.pools.count {
      new.pools[index] = pool.record
      let table = new.pools[index].table
      let region = Int(table_first(table))..<Int(table_first(table)) + Int(table_size(table))
      for slot in region where slot < new.slotWords.count {
        new.hotSlots.store(new.hotSlot(of: Slot(word: new.slotWords.loadWord(element: slot))), at: slot)
      }
    }
    try convertServices(of: old)
  }

  private func convert(_ backends: [Layout3.Backend]) {
    var elements: [IPAddress: UInt32] = [:]
    for (index, backend) in backends.enumerated() where backend.generation != 0 && index < new.backends.count
    {
      new.backends[index] = backend.record { source in
        if let known = elements[source] { return known }
        let element = UInt32(elements.count + 1)
        let (high, low) = source.words6
        new.outerSources.storeWord(high, element: Int(element))
        new.outerSources.storeWord(low, element: Int(element), byteOffset: 8)
        elements[source] = element
        return element
      }
    }
  }

  private func convertServices(of old: Layout3Maps) throws(BPFError) {
    let records = try old.allServices()
    var buckets = ServiceBuckets(new)
    /// The id of a service's number; nil where it can be none.
    func id(_ number: UInt32) -> Int? {
      let id = 2 * Int(number)
      guard number != UInt32(SERVICE_NONE) else { return Int(SERVICE_NONE) }
      guard Int(number) < records.count, id < new.services.count else { return nil }
      let record = records[Int(number)]
      let pool = Int(record.binding & 0xffff_ffff)
      new.services[id] = record.record(table: pool < new.pools.count ? new.pools[pool].table : 0)
      return id
    }
    func enter(_ entry: ServiceEntry, _ number: UInt32) throws(BPFError) {
      guard let id = id(number) else { return }
      try new.set(entry, to: UInt32(id))
      guard id != Int(SERVICE_NONE), let transport = TransportProtocol(rawValue: entry.protocolNumber) else {
        return
      }
      buckets.set(VirtualService.Key(address: entry.address, transport: transport, port: entry.port), to: id)
    }
    for (key, number) in try old.services4.entries() { try enter(ServiceEntry(key), number) }
    for (key, number) in try old.services6.entries() { try enter(ServiceEntry(key), number) }
  }
}
