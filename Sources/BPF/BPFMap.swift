// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A map with one value per key: array, hash, LRU hash, prefix trie. Maps of maps and program arrays take
/// descriptor numbers as `UInt32` values and give back ids.
public struct BPFMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: KernelMap {
  public let descriptor: BPFDescriptor
  public let name: String

  /// Throws unless the map's entries are a `Key` and a `Value`.
  init(_ descriptor: BPFDescriptor, _ name: String) throws(BPFError) {
    let info = try MapInfo(of: descriptor, name)
    guard !info.type.isPerCPU else {
      throw BPFError(.findMap, name, errno: EINVAL, detail: "it keeps a value per CPU; use PerCPUMap")
    }
    try checkLayout(info, name, Key.self, Value.self)
    self.descriptor = descriptor
    self.name = name
  }

  /// Opens a pinned map. Throws when its entries are not a `Key` and a `Value`.
  public static func openPinned(path: String) throws(BPFError) -> BPFMap {
    try BPFMap(try BPFDescriptor(pinned: path, kind: .map), path)
  }

  /// The value of `key`, or `nil`.
  public func lookup(_ key: Key) throws(BPFError) -> Value? {
    var result: CInt = 0
    let value = unsafe [Value](unsafeUninitializedCapacity: 1) { buffer, count in
      result = unsafe withUnsafePointer(to: key) {
        unsafe bpf_map_lookup_elem(descriptor.number, $0, buffer.baseAddress)
      }
      count = result == 0 ? 1 : 0
    }
    if result != -ENOENT { try check(result, .lookup, name) }
    return value.first
  }

  /// Writes an entry. In a hash, a reader sees the old or the new value; in an array, perhaps a mixture.
  public func update(
    _ key: Key, to value: Value, when condition: UpdateCondition = .any
  ) throws(BPFError) {
    let result = unsafe withUnsafePointer(to: key) { key in
      unsafe withUnsafePointer(to: value) { value in
        unsafe bpf_map_update_elem(descriptor.number, key, value, condition.flag)
      }
    }
    try check(result, .update, name)
  }

  /// Removes an entry of a hash and returns what it was, as one step; `nil` where there is none. Linux 5.14.
  public func take(_ key: Key) throws(BPFError) -> Value? {
    var result: CInt = 0
    let value = unsafe [Value](unsafeUninitializedCapacity: 1) { buffer, count in
      result = unsafe withUnsafePointer(to: key) {
        unsafe bpf_map_lookup_and_delete_elem(descriptor.number, $0, buffer.baseAddress)
      }
      count = result == 0 ? 1 : 0
    }
    if result != -ENOENT { try check(result, .delete, name) }
    return value.first
  }

  /// Calls `body` with every entry, read in batches. `body` may delete what it is given. Entries that others
  /// add or remove meanwhile may be visited or missed; all others are visited.
  public func forEachEntry(_ body: (Key, Value) -> Void) throws(BPFError) {
    do {
      try forEachInBatches(body)
    } catch {
      guard error.errno == Self.notSupported else { throw error }
      var next = try nextKey()
      while let key = next {
        if let value = try lookup(key) { body(key, value) }
        next = try nextKey(after: key)
      }
    }
  }

  /// All entries, as `forEachEntry` visits them.
  public func entries() throws(BPFError) -> [(key: Key, value: Value)] {
    var entries: [(key: Key, value: Value)] = []
    try forEachEntry { entries.append(($0, $1)) }
    return entries
  }

  /// The kernel's `ENOTSUPP`, which has no name outside: this kind of map has no batches.
  private static var notSupported: CInt { 524 }

  private func forEachInBatches(_ body: (Key, Value) -> Void) throws(BPFError) {
    var batch = MapBatch<Key, Value>(valuesPerKey: 1)
    while try batch.readNext(descriptor, name) {
      for index in 0..<batch.count { body(batch.keys[index], batch.values[index]) }
    }
  }
}

extension BPFMap where Key == UInt32 {
  /// A range of an array's values in one call, which is many times faster than single lookups.
  public func lookup(_ range: Range<UInt32>) throws(BPFError) -> [Value] {
    try lookupRange(descriptor, name, range, valuesPerKey: 1)
  }
}
