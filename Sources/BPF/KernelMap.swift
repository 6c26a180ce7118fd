// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// What maps of all kinds have in common. Handles share one descriptor when copied; the kernel orders calls
/// from several threads.
public protocol KernelMap: Sendable {
  associatedtype Key: BitwiseCopyable

  var descriptor: BPFDescriptor { get }
  /// The name in the C source, or the path of the pin that the map was opened from. Used in errors.
  var name: String { get }
}

extension KernelMap {
  /// What the kernel says about the map.
  public var info: MapInfo {
    get throws(BPFError) { try MapInfo(of: descriptor, name) }
  }

  /// Makes the map outlive every process, under a path on bpffs that does not exist yet.
  public func pin(at path: String) throws(BPFError) {
    try descriptor.pin(at: path)
  }

  /// Removes an entry; `false` when there was none. Arrays cannot do this.
  @discardableResult
  public func delete(_ key: Key) throws(BPFError) -> Bool {
    let result = unsafe withUnsafePointer(to: key) { unsafe bpf_map_delete_elem(descriptor.number, $0) }
    if result == -ENOENT { return false }
    try check(result, .delete, name)
    return true
  }

  /// The key that follows `key`, or the first one after `nil` and after a key that is gone; `nil` at the end.
  public func nextKey(after key: Key? = nil) throws(BPFError) -> Key? {
    var result: CInt = 0
    let next = unsafe [Key](unsafeUninitializedCapacity: 1) { buffer, count in
      if let key {
        result = unsafe withUnsafePointer(to: key) {
          unsafe bpf_map_get_next_key(descriptor.number, $0, buffer.baseAddress)
        }
      } else {
        result = unsafe bpf_map_get_next_key(descriptor.number, nil, buffer.baseAddress)
      }
      count = result == 0 ? 1 : 0
    }
    if result != -ENOENT { try check(result, .iterate, name) }
    return next.first
  }
}

/// When an update may write.
public enum UpdateCondition: Sendable {
  /// Always.
  case any
  /// Only a new entry; fails with `EEXIST` otherwise.
  case noExist
  /// Only an entry that is there; fails with `ENOENT` otherwise.
  case exist

  var flag: UInt64 {
    switch self {
    case .any: UInt64(BPF_ANY)
    case .noExist: UInt64(BPF_NOEXIST)
    case .exist: UInt64(BPF_EXIST)
    }
  }
}

/// Throws unless entries of `info` are exactly a `Key` and a `Value`. Swift types with padding at their end
/// are refused: the kernel would copy bytes that Swift does not own.
func checkLayout<Key: BitwiseCopyable, Value: BitwiseCopyable>(
  _ info: MapInfo, _ name: String, _: Key.Type, _: Value.Type
) throws(BPFError) {
  for (part, size, type) in [
    ("keys", info.keySize, Key.self as any BitwiseCopyable.Type), ("values", info.valueSize, Value.self),
  ] {
    let swift = layout(of: type)
    guard swift.size == size, swift.stride == size else {
      throw BPFError(
        .findMap, name, errno: EINVAL, detail: "its \(part) have \(size) bytes, \(type) has \(swift.stride)")
    }
  }
}

private func layout<T: BitwiseCopyable>(of type: T.Type) -> (size: Int, stride: Int) {
  (MemoryLayout<T>.size, MemoryLayout<T>.stride)
}
