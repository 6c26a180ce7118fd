// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// How many CPUs the kernel keeps values for: those that may ever come online, not those that are.
public func possibleCPUCount() throws(BPFError) -> Int {
  Int(try check(libbpf_num_possible_cpus(), .countCPUs, "possible CPUs"))
}

/// How many CPUs are online now, at least one.
public func onlineCPUCount() -> Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

/// A map with a value per key and possible CPU, each written by its own CPU only. Sums over CPUs are not a
/// snapshot: the CPUs go on counting.
public struct PerCPUMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: KernelMap {
  public let descriptor: BPFDescriptor
  public let name: String
  private let cpuCount: Int

  /// Throws unless the map is per CPU and its entries are a `Key` and a `Value`.
  init(_ descriptor: BPFDescriptor, _ name: String) throws(BPFError) {
    let info = try MapInfo(of: descriptor, name)
    guard info.type.isPerCPU else {
      throw BPFError(.findMap, name, errno: EINVAL, detail: "it keeps one value for all CPUs; use BPFMap")
    }
    try checkLayout(info, name, Key.self, Value.self)
    self.descriptor = descriptor
    self.name = name
    cpuCount = try possibleCPUCount()
  }

  /// Opens a pinned map. Throws when its entries are not a `Key` and a `Value`.
  public static func openPinned(path: String) throws(BPFError) -> PerCPUMap {
    try PerCPUMap(try BPFDescriptor(pinned: path, kind: .map), path)
  }

  /// The value of each possible CPU, or `nil` where there is no such key.
  public func lookup(_ key: Key) throws(BPFError) -> [Value]? {
    var words = [UInt64](repeating: 0, count: cpuCount * wordsPerValue)
    let result = unsafe withUnsafePointer(to: key) {
      unsafe bpf_map_lookup_elem(descriptor.number, $0, &words)
    }
    if result == -ENOENT { return nil }
    try check(result, .lookup, name)
    return values(in: words)
  }

  /// Writes the value of every possible CPU, in their order; `values` must have one for each.
  public func update(
    _ key: Key, to values: [Value], when condition: UpdateCondition = .any
  ) throws(BPFError) {
    precondition(values.count == cpuCount, "a value for each possible CPU")
    var words = [UInt64](repeating: 0, count: cpuCount * wordsPerValue)
    unsafe words.withUnsafeMutableBytes { bytes in
      for (cpu, value) in values.enumerated() {
        unsafe bytes.storeBytes(of: value, toByteOffset: cpu * wordsPerValue * 8, as: Value.self)
      }
    }
    let result = unsafe withUnsafePointer(to: key) {
      unsafe bpf_map_update_elem(descriptor.number, $0, words, condition.flag)
    }
    try check(result, .update, name)
  }

  /// The kernel aligns each CPU's value to 64-bit words.
  private var wordsPerValue: Int { (MemoryLayout<Value>.size + 7) / 8 }

  private func values(in words: [UInt64]) -> [Value] {
    unsafe words.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: wordsPerValue * 8).map { offset in
        unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Value.self)
      }
    }
  }
}

extension PerCPUMap where Key == UInt32 {
  /// All elements of a per-CPU array in one call.
  public func lookupAll() throws(BPFError) -> PerCPUValues<Value> {
    try lookup(0..<(try info.maxEntries))
  }

  /// A range of a per-CPU array's elements in one call. `[0]` of the result is the first of `range`.
  public func lookup(_ range: Range<UInt32>) throws(BPFError) -> PerCPUValues<Value> {
    if MemoryLayout<Value>.size == wordsPerValue * 8 {
      return PerCPUValues(
        flat: try lookupRange(descriptor, name, range, valuesPerKey: cpuCount), cpuCount: cpuCount)
    }
    let words: [UInt64] = try lookupRange(descriptor, name, range, valuesPerKey: cpuCount * wordsPerValue)
    return PerCPUValues(flat: values(in: words), cpuCount: cpuCount)
  }
}

/// The values of many elements on every possible CPU, without an array for each.
public struct PerCPUValues<Value: BitwiseCopyable> {
  /// Element by element, within it CPU by CPU.
  public let flat: [Value]
  public let cpuCount: Int

  /// How many elements there are.
  @inlinable public var count: Int { flat.count / cpuCount }

  /// One element's value on each CPU.
  @inlinable public subscript(element: Int) -> ArraySlice<Value> {
    flat[element * cpuCount..<(element + 1) * cpuCount]
  }
}

extension PerCPUValues: Sendable where Value: Sendable {}
