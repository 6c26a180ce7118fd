// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc
internal import Synchronization

/// An array map's memory, shared with the kernel's programs: reads and writes cost no system call and show at
/// once on both sides. The map must have been made with `BPF_F_MMAPABLE`.
///
/// Programs read while this side writes. Only `storeWord` is a change that they see whole; everything else
/// belongs into elements that no program reads yet. One thread at a time may write an element.
@safe public final class MappedArray<Value: BitwiseCopyable>: @unchecked Sendable {
  /// How many elements there are.
  public let count: Int
  /// The distance between elements in bytes: the value's size, rounded up to a multiple of eight.
  @usableFromInline let stride: Int
  @usableFromInline let base: UnsafeMutableRawPointer
  private let length: Int

  init(_ map: BPFMap<UInt32, Value>) throws(BPFError) {
    let info = try map.info
    guard info.type == .array, info.flags & UInt32(BPF_F_MMAPABLE) != 0 else {
      throw BPFError(.memoryMap, map.name, errno: EINVAL, detail: "it is no array made with BPF_F_MMAPABLE")
    }
    count = Int(info.maxEntries)
    stride = (Int(info.valueSize) + 7) & ~7
    length = count * stride
    let memory = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, map.descriptor.number, 0)
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      throw BPFError(.memoryMap, map.name, errno: Glibc.errno)
    }
    unsafe base = memory
  }

  deinit {
    unsafe munmap(base, length)
  }

  /// An element. Larger values than a word are read and written in pieces, in no promised order.
  @inlinable public subscript(index: Int) -> Value {
    get {
      precondition(index >= 0 && index < count, "element out of range")
      return unsafe base.load(fromByteOffset: index * stride, as: Value.self)
    }
    set {
      precondition(index >= 0 && index < count, "element out of range")
      unsafe base.storeBytes(of: newValue, toByteOffset: index * stride, as: Value.self)
    }
  }

  /// Stores one aligned 64-bit word of an element, in one piece and after everything that this thread wrote
  /// before: a program that sees the word sees that too. `byteOffset` is a multiple of eight.
  public func storeWord(_ word: UInt64, element: Int, byteOffset: Int = 0) {
    unsafe self.word(element, byteOffset).pointee.store(word, ordering: .releasing)
  }

  /// Loads one aligned 64-bit word of an element, in one piece and before everything that this thread reads
  /// afterwards.
  public func loadWord(element: Int, byteOffset: Int = 0) -> UInt64 {
    unsafe word(element, byteOffset).pointee.load(ordering: .acquiring)
  }

  private func word(_ element: Int, _ byteOffset: Int) -> UnsafePointer<Atomic<UInt64>> {
    precondition(element >= 0 && element < count, "element out of range")
    precondition(byteOffset >= 0 && byteOffset + 8 <= stride && byteOffset % 8 == 0, "no word of the element")
    return unsafe UnsafePointer(
      (base + element * stride + byteOffset).assumingMemoryBound(to: Atomic<UInt64>.self))
  }

  /// Lends a range of elements for reading and writing in bulk, in the array's own memory. Only for values
  /// whose size is a multiple of eight, which lie side by side. The span begins with the range's first.
  @inlinable public func withElements<Result: ~Copyable, Failure: Error>(
    _ range: Range<Int>, _ body: (inout MutableSpan<Value>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(MemoryLayout<Value>.stride == stride, "values with gaps between them")
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "elements out of range")
    let first = unsafe (base + range.lowerBound * stride).assumingMemoryBound(to: Value.self)
    var span = unsafe MutableSpan(_unsafeStart: first, count: range.count)
    return try body(&span)
  }
}

extension BPFMap where Key == UInt32 {
  /// Maps an array made with `BPF_F_MMAPABLE` into memory. The mapping keeps the map alive.
  public func memoryMapped() throws(BPFError) -> MappedArray<Value> {
    try MappedArray(self)
  }
}
