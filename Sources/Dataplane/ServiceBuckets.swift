// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The buckets in front of the hash maps of services: arrays that packets read without a hash lookup. The hash maps
/// hold every key. A key that finds no free entry in its bucket is in the hash map only.
struct ServiceBuckets {
  private let buckets4: MappedArray<service_bucket4>
  private let buckets6: MappedArray<service_bucket6>
  /// IPv6 entries that were removed, and that packets may still be reading.
  private var emptied: Set<Position> = []

  private struct Position: Hashable {
    var bucket: Int
    var entry: Int
  }

  init(_ maps: ForwarderMaps) { (buckets4, buckets6) = (maps.buckets4, maps.buckets6) }

  /// Whether keys of this kind are in buckets. Services for any port and marks of VIPs are in the hash maps only.
  private static func belongsInBucket(_ key: VirtualService.Key) -> Bool { key.port != 0 }

  /// Adds a key with its id to its bucket, if there is a free entry, or changes its id.
  mutating func set(_ key: VirtualService.Key, to id: Int) {
    guard Self.belongsInBucket(key) else { return }
    switch key.address.family {
    case .v4: set(Key4(key), to: id)
    case .v6: set(Key6(key), to: id)
    }
  }

  /// Removes the entry of a key.
  mutating func remove(_ key: VirtualService.Key) {
    guard Self.belongsInBucket(key) else { return }
    switch key.address.family {
    case .v4:
      let key = Key4(key)
      for index in indices(of: key) { buckets4.storeWord(0, element: key.bucket, byteOffset: index * 8) }
    case .v6:
      let key = Key6(key)
      for index in indices(of: key) { empty6(key.bucket, index) }
    }
  }

  /// The id that a key has in its bucket; nil if it is not there.
  func id(of key: VirtualService.Key) -> Int? {
    guard Self.belongsInBucket(key) else { return nil }
    switch key.address.family {
    case .v4:
      let key = Key4(key)
      return indices(of: key).first.map { Int(service_entry4_id(entry4(key.bucket, $0))) }
    case .v6:
      let key = Key6(key)
      return indices(of: key).first.map { Int(rest(key.bucket, $0) >> 32) }
    }
  }

  /// To be called after a grace period.
  mutating func readersAreGone() { emptied = [] }

  // MARK: IPv4

  private struct Key4 {
    let word: UInt64
    let bucket: Int

    init(_ key: VirtualService.Key) {
      word = service_entry4(
        UInt64(key.address.word4), UInt64(key.port.bigEndian), UInt64(key.transport.rawValue))
      bucket = Int(service_bucket4_index(word))
    }
  }

  private func entry4(_ bucket: Int, _ index: Int) -> UInt64 {
    buckets4.loadWord(element: bucket, byteOffset: index * 8)
  }

  /// The entries that have the key: one at most, unless another process has written the map.
  private func indices(of key: Key4) -> [Int] {
    (0..<Int(SERVICE_BUCKET4_ENTRIES)).filter {
      let entry = entry4(key.bucket, $0)
      return entry != 0 && service_entry4_matches(entry, key.word) != 0
    }
  }

  private mutating func set(_ key: Key4, to id: Int) {
    let known = indices(of: key)
    for index in known.dropFirst() { buckets4.storeWord(0, element: key.bucket, byteOffset: index * 8) }
    let fits = id <= Int(SERVICE_ENTRY4_ID_MAX)
    let word = fits ? key.word | UInt64(id) << UInt64(SERVICE_ENTRY4_ID_SHIFT) : 0
    let free = (0..<Int(SERVICE_BUCKET4_ENTRIES)).first { entry4(key.bucket, $0) == 0 }
    guard let index = known.first ?? (fits ? free : nil), entry4(key.bucket, index) != word else { return }
    buckets4.storeWord(word, element: key.bucket, byteOffset: index * 8)
  }

  // MARK: IPv6

  private struct Key6 {
    let (high, low): (UInt64, UInt64)
    let rest: UInt64
    let bucket: Int

    init(_ key: VirtualService.Key) {
      (high, low) = key.address.words6
      rest = service_entry6(UInt64(key.port.bigEndian), UInt64(key.transport.rawValue))
      bucket = Int(service_bucket6_index(high, low, rest))
    }
  }

  private static let highOffset = MemoryLayout<service_bucket6>.offset(of: \.high)!
  private static let lowOffset = MemoryLayout<service_bucket6>.offset(of: \.low)!
  private static let restOffset = MemoryLayout<service_bucket6>.offset(of: \.rest)!

  private func rest(_ bucket: Int, _ index: Int) -> UInt64 {
    buckets6.loadWord(element: bucket, byteOffset: Self.restOffset + index * 8)
  }

  private func indices(of key: Key6) -> [Int] {
    (0..<Int(SERVICE_BUCKET6_ENTRIES)).filter { index in
      let rest = rest(key.bucket, index)
      return rest >> 32 != 0 && rest & 0xffff_ffff == key.rest
        && buckets6.loadWord(element: key.bucket, byteOffset: Self.highOffset + index * 8) == key.high
        && buckets6.loadWord(element: key.bucket, byteOffset: Self.lowOffset + index * 8) == key.low
    }
  }

  private mutating func set(_ key: Key6, to id: Int) {
    let known = indices(of: key)
    for index in known.dropFirst() { empty6(key.bucket, index) }
    let free = (0..<Int(SERVICE_BUCKET6_ENTRIES)).first {
      rest(key.bucket, $0) == 0 && !emptied.contains(Position(bucket: key.bucket, entry: $0))
    }
    guard let index = known.first ?? free else { return }
    if known.isEmpty {
      buckets6.storeWord(key.high, element: key.bucket, byteOffset: Self.highOffset + index * 8)
      buckets6.storeWord(key.low, element: key.bucket, byteOffset: Self.lowOffset + index * 8)
    }
    let word = key.rest | UInt64(id) << 32
    guard rest(key.bucket, index) != word else { return }
    buckets6.storeWord(word, element: key.bucket, byteOffset: Self.restOffset + index * 8)
  }

  private mutating func empty6(_ bucket: Int, _ index: Int) {
    buckets6.storeWord(0, element: bucket, byteOffset: Self.restOffset + index * 8)
    emptied.insert(Position(bucket: bucket, entry: index))
  }

  // MARK: Repair

  /// Removes every entry that is not one of `ids`.
  /// - Parameter ids: the id of each installed service, by its key.
  /// - Returns: the number of entries removed.
  mutating func removeUnknown(besides ids: [VirtualService.Key: Int]) -> Int {
    var own4: Set<UInt64> = []
    var own6: [Int: [(key: Key6, id: Int)]] = [:]
    for (key, id) in ids where Self.belongsInBucket(key) {
      if key.address.family == .v4 {
        own4.insert(Key4(key).word | UInt64(id) << UInt64(SERVICE_ENTRY4_ID_SHIFT))
      } else {
        let key = Key6(key)
        own6[key.bucket, default: []].append((key, id))
      }
    }
    var removed = 0
    for bucket in 0..<buckets4.count {
      for index in 0..<Int(SERVICE_BUCKET4_ENTRIES) {
        let entry = entry4(bucket, index)
        guard entry != 0, !own4.contains(entry) || Self.bucket4(of: entry) != bucket else { continue }
        buckets4.storeWord(0, element: bucket, byteOffset: index * 8)
        removed += 1
      }
    }
    for bucket in 0..<buckets6.count {
      for index in 0..<Int(SERVICE_BUCKET6_ENTRIES) where rest(bucket, index) != 0 {
        let isOwn = own6[bucket]?.contains { own in
          rest(bucket, index) == own.key.rest | UInt64(own.id) << 32 && indices(of: own.key).contains(index)
        }
        if isOwn == true { continue }
        empty6(bucket, index)
        removed += 1
      }
    }
    return removed
  }

  private static func bucket4(of entry: UInt64) -> Int {
    let shift = UInt64(64 - SERVICE_ENTRY4_ID_SHIFT)
    return Int(service_bucket4_index((entry << shift) >> shift))
  }
}
