// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A walk through a map, many entries per call. `Value` must have the kernel's stride, so that a batch is an
/// array of it.
struct MapBatch<Key: BitwiseCopyable, Value: BitwiseCopyable> {
  private(set) var keys: [Key] = []
  private(set) var values: [Value] = []
  var count: Int { keys.count }

  private let valuesPerKey: Int
  private var capacity = 4096
  /// The kernel's position in the walk: a bucket number or a key.
  private var position = [UInt8](repeating: 0, count: max(MemoryLayout<Key>.size, 8))
  private var state = State.fresh

  private enum State { case fresh, underWay, finished }

  init(valuesPerKey: Int) {
    self.valuesPerKey = valuesPerKey
  }

  /// Reads further entries into `keys` and `values`; `false` when there are no more.
  mutating func readNext(_ descriptor: BPFDescriptor, _ name: String) throws(BPFError) -> Bool {
    guard state != .finished else { return false }
    var result = read(descriptor)
    while result == -ENOSPC {
      // One bucket holds more entries than fit: it is read whole or not at all.
      capacity *= 2
      result = read(descriptor)
    }
    state = result == -ENOENT ? .finished : .underWay
    if result != -ENOENT { try check(result, .iterate, name) }
    return true
  }

  private mutating func read(_ descriptor: BPFDescriptor) -> CInt {
    var result: CInt = 0
    var count = UInt32(capacity)
    let isFresh = state == .fresh
    unsafe position.withUnsafeMutableBytes { position in
      values = unsafe [Value](unsafeUninitializedCapacity: capacity * valuesPerKey) { values, valueCount in
        keys = unsafe [Key](unsafeUninitializedCapacity: capacity) { keys, keyCount in
          result = unsafe bpf_map_lookup_batch(
            descriptor.number, isFresh ? nil : position.baseAddress, position.baseAddress, keys.baseAddress,
            values.baseAddress, &count, nil)
          if result != 0 && result != -ENOENT { count = 0 }
          keyCount = Int(count)
        }
        valueCount = Int(count) * valuesPerKey
      }
    }
    return result
  }
}

/// Reads the values of an array's elements in one call.
func lookupRange<Value: BitwiseCopyable>(
  _ descriptor: BPFDescriptor, _ name: String, _ range: Range<UInt32>, valuesPerKey: Int
) throws(BPFError) -> [Value] {
  guard !range.isEmpty else { return [] }
  var result: CInt = 0
  var count = UInt32(range.count)
  // The kernel starts behind the key it is given.
  var before = range.lowerBound &- 1
  var position: UInt32 = 0
  var keys = [UInt32](repeating: 0, count: range.count)
  let values = unsafe [Value](unsafeUninitializedCapacity: range.count * valuesPerKey) { values, valueCount in
    result = unsafe withUnsafeMutablePointer(to: &before) { before in
      unsafe bpf_map_lookup_batch(
        descriptor.number, range.lowerBound == 0 ? nil : before, &position, &keys, values.baseAddress, &count,
        nil)
    }
    valueCount = result == 0 ? Int(count) * valuesPerKey : 0
  }
  try check(result, .lookup, name, detail: "elements \(range)")
  return values
}
