// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// Services: their records, keys and bucket entries.
extension MapRepair {
  mutating func compareServices(
    _ range: Range<Int>, _ parts: MapPatrol.Parts
  ) throws(DataplaneError) {
    let numbers = ServiceIDs.number(of: range.lowerBound)..<ServiceIDs.number(of: range.upperBound)
    for number in numbers { if let service = services[number] { compareRecord(of: service) } }
    try compareNames(maps.serviceNames, numbers, "service", parts) { [services] in services[$0]?.service.name
    }
  }

  private mutating func compareRecord(of service: InstalledState.Service) {
    guard let id = ids[service.number], let pool = installed.pools[service.service.pool] else { return }
    let wanted = forwarder.record(
      service, pool: pool.number, table: pool.tableWord,
      poolBefore: service.move.flatMap { installed.pools[$0.pool]?.number })
    let found = maps.services[id]
    guard octets(of: wanted) != octets(of: found) else { return }
    for offset in stride(from: 0, to: MemoryLayout<CForwardingABI.service>.size, by: 8)
    where word(of: wanted, at: offset) != word(of: found, at: offset) {
      maps.services.storeWord(word(of: wanted, at: offset), element: id, byteOffset: offset)
    }
    done.append("the record of service \(service.service.name) \(service.service.key)")
  }

  mutating func readKeys() throws(DataplaneError) {
    var found: [ServiceEntry: UInt32] = [:]
    try inKernel { () throws(BPFError) in
      try maps.services4.forEachEntry { found[ServiceEntry($0)] = $1 }
      try maps.services6.forEachEntry { found[ServiceEntry($0)] = $1 }
    }
    keys = found
    for service in services.values {
      let known = [
        found[ServiceEntry(service.service.key)].map { Int($0) },
        forwarder.serviceBuckets.id(of: service.service.key),
      ]
      ids[service.number] =
        known.compactMap { $0 }.first { ServiceIDs.number(of: $0) == service.number } ?? 2 * service.number
    }
  }

  /// Corrects the copies: the ids in buckets and the tables in services' records. A daemon that died amid a change
  /// leaves the former ones, and the next change may reuse what they name.
  mutating func compareCopies() throws(DataplaneError) {
    var stale = 0
    for service in services.values {
      guard let id = ids[service.number], let pool = installed.pools[service.service.pool] else { continue }
      let key = service.service.key
      if keys[ServiceEntry(key)] == UInt32(id), maps.services[id].table != pool.tableWord {
        maps.services.storeWord(pool.tableWord, element: id, byteOffset: Forwarder.serviceTableOffset)
        done.append("the table of service \(service.service.name) \(key)")
        stale += 1
      }
      if let held = forwarder.serviceBuckets.id(of: key), held != id {
        forwarder.serviceBuckets.set(key, to: id)
        done.append("the bucket of service \(service.service.name) \(key)")
        stale += 1
      }
    }
    let own = Dictionary(uniqueKeysWithValues: services.values.map { ($0.service.key, ids[$0.number] ?? 0) })
    let removed = forwarder.serviceBuckets.removeUnknown(besides: own)
    if removed > 0 { done.append("\(removed) bucket entries of no service") }
    if stale + removed > 0 { try forwarder.waitForReaders() }
    for (key, id) in own where keys[ServiceEntry(key)] == UInt32(id) {
      forwarder.serviceBuckets.set(key, to: id)
    }
  }

  mutating func compareKeys(_ parts: MapPatrol.Parts) throws(DataplaneError) {
    var wanted: [ServiceEntry: UInt32] = [:]
    for service in installed.services.values {
      wanted[ServiceEntry(service.service.key)] = UInt32(ids[service.number] ?? 0)
      wanted[ServiceEntry(markOf: service.service.key.address)] = UInt32(SERVICE_NONE)
    }
    if parts.contains(.services) {
      let misled = services.values.filter {
        keys[ServiceEntry($0.service.key)] != wanted[ServiceEntry($0.service.key)]
      }
      for service in misled { compareRecord(of: service) }
      for (entry, id) in wanted where keys[entry] != id {
        try inKernel { () throws(BPFError) in try maps.set(entry, to: id) }
        done.append("the entry of \(entry)")
      }
      for service in misled {
        if let id = ids[service.number] { forwarder.serviceBuckets.set(service.service.key, to: id) }
      }
      if !misled.isEmpty { forwarder.serviceIDs = nil }
    }
    guard parts.contains(.unknownEntries) else { return }
    for entry in keys.keys where wanted[entry] == nil {
      try inKernel { () throws(BPFError) in try maps.remove(entry) }
      done.append("the entry of \(entry), which is no service")
      forwarder.serviceIDs = nil
    }
  }
}
