// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A BPF object in the kernel. Its handles own their descriptors and outlive it. Maps and programs without a handle,
/// pin or attachment are freed with it.
public struct LoadedObject: ~Copyable, Sendable {
  let handle: ObjectHandle

  /// A map by its name in the C source. Throws if `Key` or `Value` does not have the map's size, or the map is per-CPU.
  public func map<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String, key: Key.Type = Key.self, value: Value.Type = Value.self
  ) throws(BPFError) -> BPFMap<Key, Value> {
    try BPFMap(try mapDescriptor(name), name)
  }

  /// A per-CPU map by its name in the C source.
  public func perCPUMap<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ name: String, key: Key.Type = Key.self, value: Value.Type = Value.self
  ) throws(BPFError) -> PerCPUMap<Key, Value> {
    try PerCPUMap(try mapDescriptor(name), name)
  }

  /// A program by the name of its C function.
  public func program(_ name: String) throws(BPFError) -> BPFProgram {
    let number = bpf_program__fd(try handle.program(name))
    guard number >= 0 else {
      throw BPFError(.findProgram, name, errno: ENOENT, detail: "it was not loaded")
    }
    return BPFProgram(try BPFDescriptor(duplicating: number, name), name)
  }

  func mapDescriptor(_ name: String) throws(BPFError) -> BPFDescriptor {
    let number = bpf_map__fd(try handle.map(name))
    guard number >= 0 else {
      throw BPFError(.findMap, name, errno: ENOENT, detail: "it was not created")
    }
    return try BPFDescriptor(duplicating: number, name)
  }
}
