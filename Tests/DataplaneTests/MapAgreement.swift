// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport

@testable import Dataplane

/// Whether what packets read first says the same as what it was derived from: hot slots and 64-bit slots, buckets and
/// the maps of services, tables of services and of pools.
struct MapAgreement {
  private let maps: ForwarderMaps
  /// Keys whose buckets are looked at between stores.
  private let keys: [VirtualService.Key]

  init(_ forwarder: Forwarder, keys: [VirtualService.Key]) { (maps, self.keys) = (forwarder.maps, keys) }

  /// What contradicts the truth, in words; nil: nothing. Holds between any two stores of a change.
  func contradiction() throws -> String? {
    let ids = try idsOfKeys()
    for (key, id) in ids {
      let record = maps.services[id]
      if let text = contradiction(inTable: record.table, of: key) { return text }
    }
    let buckets = ServiceBuckets(maps)
    for key in keys {
      if let id = buckets.id(of: key), let text = mismatch(key, id, ids) { return text }
    }
    return nil
  }

  /// What is wrong besides, when no change is under way: hot slots that should be set, tables that differ, entries of
  /// buckets that lead to no service.
  func gap() throws -> String? {
    if let text = try strangersInBuckets(idsOfKeys()) { return text }
    for (key, id) in try idsOfKeys() {
      let record = maps.services[id]
      let pool = Int(record.binding & 0xffff_ffff)
      if maps.pools[pool].table != record.table { return "\(key) has another table than its pool" }
      let first = Int(table_first(record.table))
      for index in first..<(first + Int(table_size(record.table))) {
        let slot = Slot(word: maps.slotWords.loadWord(element: index))
        if maps.hotSlots[index] != maps.hotSlot(of: slot) { return "hot slot \(index) of \(key)" }
      }
    }
    return nil
  }

  private func idsOfKeys() throws -> [VirtualService.Key: Int] {
    var ids: [VirtualService.Key: Int] = [:]
    let entries =
      try maps.services4.entries().map { (ServiceEntry($0.key), $0.value) }
      + maps.services6.entries().map { (ServiceEntry($0.key), $0.value) }
    for (entry, id) in entries {
      guard let transport = TransportProtocol(rawValue: entry.protocolNumber) else { continue }
      ids[VirtualService.Key(address: entry.address, transport: transport, port: entry.port)] = Int(id)
    }
    return ids
  }

  private func contradiction(inTable table: UInt64, of key: VirtualService.Key) -> String? {
    let first = Int(table_first(table))
    for index in first..<(first + Int(table_size(table))) {
      let (hot, slot) = (maps.hotSlots[index], Slot(word: maps.slotWords.loadWord(element: index)))
      guard hot != 0 else { continue }
      if slot.state != .stable || slot.current != hot_backend(hot) {
        return "the hot slot \(index) of \(key) names \(hot_backend(hot)), the slot is \(slot)"
      }
      if maps.backends[Int(slot.current)].pair != UInt16(hot_pair(hot)) {
        return "the pair of hot slot \(index)"
      }
    }
    return nil
  }

  /// Entries of buckets that lead elsewhere than the maps of services.
  private func strangersInBuckets(_ ids: [VirtualService.Key: Int]) throws -> String? {
    for bucket in 0..<maps.buckets4.count {
      for place in 0..<4 {
        let entry = maps.buckets4.loadWord(element: bucket, byteOffset: place * 8)
        guard entry != 0 else { continue }
        let key = VirtualService.Key(
          address: IPAddress(family: .v4, bits: UInt128(UInt32(truncatingIfNeeded: entry).byteSwapped)),
          transport: entry >> 48 & 1 == 1 ? .udp : .tcp,
          port: UInt16(truncatingIfNeeded: entry >> 32).byteSwapped)
        if let text = mismatch(key, Int(service_entry4_id(entry)), ids) { return text }
      }
    }
    for index in 0..<maps.buckets6.count {
      let bucket = maps.buckets6[index]
      for (high, low, rest) in [
        (bucket.high.0, bucket.low.0, bucket.rest.0), (bucket.high.1, bucket.low.1, bucket.rest.1),
      ] where rest != 0 {
        let address = IPAddress(
          family: .v6, bits: UInt128(high.byteSwapped) << 64 | UInt128(low.byteSwapped))
        let key = VirtualService.Key(
          address: address, transport: rest >> 16 & 0xff == 17 ? .udp : .tcp,
          port: UInt16(truncatingIfNeeded: rest).byteSwapped)
        if let text = mismatch(key, Int(rest >> 32), ids) { return text }
      }
    }
    return nil
  }

  /// A key that leads to another id of the same service in the middle of a change is none.
  private func mismatch(_ key: VirtualService.Key, _ id: Int, _ ids: [VirtualService.Key: Int]) -> String? {
    guard let own = ids[key] else { return "the bucket of \(key), which is no service" }
    return own / 2 == id / 2 ? nil : "the bucket of \(key) leads to id \(id), its key to \(own)"
  }
}
