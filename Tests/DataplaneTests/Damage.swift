// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport

@testable import Dataplane

/// What another process may write into the maps: words, records and names, at random, swapped, or of somebody else.
struct Damage {
  let maps: ForwarderMaps
  /// What stays as it is.
  let spared: InstalledState
  var random: SplitMix64

  /// Numbers of what is spared.
  private let backends: Set<Int>
  private let pools: Set<Int>
  private let services: Set<Int>
  private let serviceIDs: Set<Int>
  private let buckets4: Set<Int>
  private let region: Range<Int>

  init(_ maps: ForwarderMaps, sparing pool: String, of state: InstalledState, random: SplitMix64) {
    self.maps = maps
    spared = state
    self.random = random
    backends = Set(state.backends.values.filter { $0.pool == pool }.map { Int($0.number) })
    pools = Set(state.pools.values.filter { $0.name == pool }.map(\.number))
    let own = state.services.values.filter { $0.service.pool == pool }
    services = Set(own.map(\.number))
    serviceIDs = Set(own.flatMap { [2 * $0.number, 2 * $0.number + 1] })
    buckets4 = Set(own.map { Self.bucket4(of: $0.service.key) })
    region = state.pools[pool]?.region ?? 0..<0
  }

  /// Damages something.
  /// - Returns: what, in words.
  mutating func strike() throws -> String {
    switch Int.random(in: 0..<15, using: &random) {
    case 0, 1: return strike(maps.services, "services", sparing: serviceIDs)
    case 11: return strikeHotSlots()
    case 12: return strikeBuckets4()
    case 13: return strike(maps.buckets6, "buckets6", sparing: [])
    case 2, 3: return strike(maps.backends, "backends", sparing: backends)
    case 4: return strike(maps.pools, "pools", sparing: pools)
    case 5: return strikeSlots()
    case 6: return try strike(maps.serviceNames, "service_names", sparing: services)
    case 7: return try strike(maps.poolNames, "pool_names", sparing: pools)
    case 8: return try strike(maps.backendNames, "backend_names", sparing: backends)
    case 9: return try strikeKeys4()
    case 10: return try strikeKeys6()
    default: return try strikeCounts()
    }
  }

  private mutating func word() -> UInt64 {
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return UInt64.random(in: 0..<8, using: &random)
    case 1:
      return UInt64.random(in: 0..<300, using: &random) << 32 | UInt64.random(in: 0..<4000, using: &random)
    case 2: return 4_000_000_000
    case 3: return .max
    case 4: return 1 << UInt64.random(in: 0..<64, using: &random)
    default: return random.next()
    }
  }

  private mutating func index(below count: Int, sparing spared: Set<Int>) -> Int {
    // What is in use is the most interesting.
    let limit = Bool.random(using: &random) ? min(count, 14) : count
    while true {
      let index = Int.random(in: 0..<limit, using: &random)
      if !spared.contains(index) { return index }
    }
  }

  private mutating func strike<Element: BitwiseCopyable>(
    _ array: MappedArray<Element>, _ name: String, sparing spared: Set<Int>
  ) -> String {
    let index = index(below: array.count, sparing: spared)
    let other = Int.random(in: 0..<2, using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let second = self.index(below: array.count, sparing: spared)
      (array[index], array[second]) = (array[second], array[index])
      return "\(name)[\(index)] <-> [\(second)]"
    case 1:
      // A copy of anybody's, also of those who are spared.
      let source = Int.random(in: 0..<min(array.count, 14), using: &random)
      array[index] = array[source]
      return "\(name)[\(index)] = [\(source)]"
    default:
      let offset = Int.random(in: 0..<(MemoryLayout<Element>.size / 8), using: &random) * 8
      let before = array.loadWord(element: index, byteOffset: offset)
      let after = other == 0 ? word() : before ^ 1 << UInt64.random(in: 0..<64, using: &random)
      array.storeWord(after, element: index, byteOffset: offset)
      return "\(name)[\(index)]+\(offset) = \(after)"
    }
  }

  private mutating func strikeSlots() -> String {
    let count = Int.random(in: 1...300, using: &random)
    let first = Int.random(in: 0..<(maps.slotWords.count - count), using: &random)
    var struck = 0
    for index in first..<(first + count) where !region.contains(index) {
      maps.slotWords.storeWord(word(), element: index)
      struck += 1
    }
    return "\(struck) slots from \(first)"
  }

  private mutating func strikeHotSlots() -> String {
    let count = Int.random(in: 1...300, using: &random)
    let first = Int.random(in: 0..<(maps.slotWords.count - count), using: &random)
    for index in first..<(first + count) where !region.contains(index) {
      maps.hotSlots.store(UInt32(truncatingIfNeeded: word()), at: index)
    }
    return "\(count) hot slots from \(first)"
  }

  private mutating func strikeBuckets4() -> String {
    // Buckets in use, or any.
    let used = spared.services.keys.filter { $0.address.family == .v4 }.map { Self.bucket4(of: $0) }.sorted()
    let bucket =
      Bool.random(using: &random)
      ? used.randomElement(using: &random)! : Int.random(in: 0..<maps.buckets4.count, using: &random)
    guard !buckets4.contains(bucket) else { return "nothing" }
    let place = Int.random(in: 0..<4, using: &random)
    let before = maps.buckets4.loadWord(element: bucket, byteOffset: place * 8)
    let after = Bool.random(using: &random) ? word() : before ^ 1 << UInt64.random(in: 0..<64, using: &random)
    maps.buckets4.storeWord(after, element: bucket, byteOffset: place * 8)
    return "buckets4[\(bucket)]+\(place * 8) = \(after)"
  }

  private static func bucket4(of key: VirtualService.Key) -> Int {
    let entry = service_entry4(
      UInt64(UInt32(truncatingIfNeeded: key.address.bits).bigEndian), UInt64(key.port.bigEndian),
      UInt64(key.transport.rawValue))
    return Int(service_bucket4_index(entry))
  }

  private mutating func strike(
    _ map: BPFMap<UInt32, identity>, _ name: String, sparing spared: Set<Int>
  ) throws -> String {
    let count = Int(try map.info.maxEntries)
    let index = index(below: count, sparing: spared)
    var text = try map.lookup(UInt32(Int.random(in: 0..<count, using: &random))) ?? identity("")
    switch Int.random(in: 0..<4, using: &random) {
    case 0: text = identity("")
    case 1:
      text = identity(
        ["..", "solid", "solid/b1", "web/b4", "a/b/c", "WEB", "x/", "/", "web/b99"].randomElement(
          using: &random)!)
    case 2:
      withUnsafeMutableBytes(of: &text) {
        for octet in $0.indices { $0[octet] = UInt8.random(in: 0...255, using: &random) }
      }
    default: break
    }
    try map.update(UInt32(index), to: text)
    return "\(name)[\(index)] = \(text.text.prefix(16))"
  }

  private mutating func strikeKeys4() throws -> String {
    var (key, number) = try maps.services4.entries().randomElement(using: &random)!
    if key.vip == DamagedWorld.solidVIP { key.port = 1 }
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      try maps.services4.delete(key)
      return "no \(ServiceEntry(key))"
    case 1:
      key = service_key4(
        address: UInt32.random(in: 0...(.max), using: &random),
        port: UInt16.random(in: 0...9, using: &random),
        protocol: [1, 6, 17, 99].randomElement(using: &random)!, zero: UInt8.random(in: 0...1, using: &random)
      )
    default: break
    }
    number = UInt32(truncatingIfNeeded: word())
    try? maps.services4.update(key, to: number)
    return "\(ServiceEntry(key)) = \(number)"
  }

  private mutating func strikeKeys6() throws -> String {
    var key = service_key6(
      address: ip("fd00:100::1"), port: Bool.random(using: &random) ? 443 : 80, protocolNumber: 6)
    if Bool.random(using: &random) { key.zero = 7 }
    let number = UInt32(truncatingIfNeeded: word())
    try? maps.services6.update(key, to: number)
    return "\(ServiceEntry(key)) = \(number)"
  }

  private mutating func strikeCounts() throws -> String {
    var key = flow_key()
    withUnsafeMutableBytes(of: &key) {
      for octet in $0.indices { $0[octet] = UInt8.random(in: 0...255, using: &random) }
    }
    key.protocol = [6, 17, 200].randomElement(using: &random)!
    let entry = flow(
      backend: UInt32(truncatingIfNeeded: word()), generation: UInt32(truncatingIfNeeded: word()),
      last_seen: UInt32(truncatingIfNeeded: word()), flags: UInt32(truncatingIfNeeded: word()))
    try? maps.flows.update(key, to: entry)
    try maps.lastUnknown.update(UInt32.random(in: 0..<48, using: &random), to: word())
    try maps.pairOffsets.update(
      UInt32.random(in: 0..<512, using: &random), to: counter(packets: word(), bytes: word()))
    return "flows, last_unknown, pair_offsets"
  }
}
