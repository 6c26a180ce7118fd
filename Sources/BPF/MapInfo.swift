// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF

/// The kernel's kind of a map. Kinds that this layer does not name keep their number.
public struct MapType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  init(_ type: bpf_map_type) {
    rawValue = type.rawValue
  }

  public static let hash = MapType(BPF_MAP_TYPE_HASH)
  public static let array = MapType(BPF_MAP_TYPE_ARRAY)
  public static let perCPUHash = MapType(BPF_MAP_TYPE_PERCPU_HASH)
  public static let perCPUArray = MapType(BPF_MAP_TYPE_PERCPU_ARRAY)

  /// Whether the map keeps a value per CPU, so that `PerCPUMap` must read it.
  public var isPerCPU: Bool {
    self == .perCPUHash || self == .perCPUArray
      || self == MapType(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE)
  }
}

/// What the kernel says about a map.
public struct MapInfo: Equatable, Sendable {
  public var type: MapType
  /// In bytes.
  public var keySize: UInt32
  /// In bytes, of one CPU's value in a per-CPU map.
  public var valueSize: UInt32
  public var maxEntries: UInt32
  /// `BPF_F_…` as given at creation.
  public var flags: UInt32
  /// Unique among the machine's maps until reboot.
  public var id: UInt32
  /// At most 15 bytes: the kernel cuts longer names off.
  public var name: String

  /// Everything a program relies on, in words.
  var layout: String {
    "type \(type.rawValue), key \(keySize) bytes, value \(valueSize) bytes, \(maxEntries) entries, flags \(flags)"
  }
}

extension MapInfo {
  init(of descriptor: BPFDescriptor, _ subject: String) throws(BPFError) {
    let info = try descriptor.info(bpf_map_info(), subject)
    self.init(
      type: MapType(rawValue: info.type), keySize: info.key_size, valueSize: info.value_size,
      maxEntries: info.max_entries, flags: info.map_flags, id: info.id, name: string(fromTuple: info.name))
  }
}

/// A C string in a buffer.
func string(fromCharacters buffer: [CChar]) -> String {
  String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// A C string in a fixed array, which Swift sees as a tuple.
func string<Tuple: BitwiseCopyable>(fromTuple tuple: Tuple) -> String {
  let bytes = unsafe withUnsafeBytes(of: tuple) { bytes in unsafe Array(bytes.prefix { $0 != 0 }) }
  return String(decoding: bytes, as: UTF8.self)
}
