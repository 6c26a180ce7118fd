// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A BPF object file that has been read but is not in the kernel yet: the time to size maps, set constants
/// and choose programs. `load()` consumes it.
public struct BPFObject: ~Copyable, Sendable {
  private let handle: ObjectHandle

  /// Parses an object that travels in the binary.
  public static func open(_ object: EmbeddedObject) throws(BPFError) -> BPFObject {
    try open(bytes: object.bytes, name: object.name)
  }

  /// Parses an ELF file. libbpf copies what it needs, so `bytes` may go when this returns. `name` appears in
  /// errors and in the kernel's names of `.rodata` and its like.
  public static func open(bytes: [UInt8], name: String) throws(BPFError) -> BPFObject {
    let (object, warnings) = LibbpfLog.collectingWarnings {
      unsafe name.withCString { cName in
        let options = unsafe bpf_object_open_opts.sized { unsafe $0.object_name = cName }
        return unsafe withUnsafePointer(to: options) { options in
          unsafe bytes.withUnsafeBytes { bytes -> Swift.Result<bpf_object, OpenFailure> in
            guard let object = unsafe bpf_object__open_mem(bytes.baseAddress, bytes.count, options) else {
              return .failure(OpenFailure(errno: Glibc.errno))
            }
            return .success(object)
          }
        }
      }
    }
    switch object {
    case .success(let object): return BPFObject(handle: ObjectHandle(object, name: name))
    case .failure(let failure):
      throw BPFError(.open, name, errno: failure.errno, detail: warnings.joined(separator: "; "))
    }
  }

  /// `errno`, kept from the calls that Swift makes on the way out.
  private struct OpenFailure: Error { var errno: CInt }

  /// Sets the number of entries of a map.
  public mutating func setMaxEntries(map: String, _ count: UInt32) throws(BPFError) {
    try check(bpf_map__set_max_entries(try handle.map(map), count), .setMaxEntries, map)
  }

  /// Sets the initial value of a data section; one in `.rodata` is a constant that the verifier sees, so that
  /// what it switches off costs nothing. `section` is the section's own name, such as `.rodata.config`, and
  /// `value` is all of it.
  public mutating func freeze<Value: BitwiseCopyable>(section: String, as value: Value) throws(BPFError) {
    let map = try handle.map(section, .freeze)
    var size = 0
    guard unsafe bpf_map__initial_value(map, &size) != nil else {
      throw BPFError(.freeze, section, errno: EINVAL, detail: "it is not a data section")
    }
    guard MemoryLayout<Value>.size == size else {
      throw BPFError(
        .freeze, section, errno: EINVAL,
        detail: "the section has \(size) bytes, \(Value.self) has \(MemoryLayout<Value>.size)")
    }
    let result = unsafe withUnsafePointer(to: value) { unsafe bpf_map__set_initial_value(map, $0, size) }
    try check(result, .freeze, section)
  }

  /// Uses an existing map instead of creating one. It must have the type, sizes, entry count and flags that the program
  /// expects. The caller may close `descriptor` afterwards.
  public mutating func reuse(map name: String, _ descriptor: BPFDescriptor) throws(BPFError) {
    let map = try handle.map(name, .reuse)
    let existing = try MapInfo(of: descriptor, name)
    let declared = MapInfo(
      type: MapType(bpf_map__type(map)), keySize: bpf_map__key_size(map),
      valueSize: bpf_map__value_size(map), maxEntries: bpf_map__max_entries(map),
      flags: bpf_map__map_flags(map), id: existing.id, name: existing.name)
    guard existing == declared else {
      throw BPFError(
        .reuse, name, errno: EINVAL,
        detail: "the program wants \(declared.layout), the existing map has \(existing.layout)")
    }
    let (result, warnings) = LibbpfLog.collectingWarnings { bpf_map__reuse_fd(map, descriptor.number) }
    try check(result, .reuse, name, detail: warnings.joined(separator: "; "))
  }

  /// Says whether `load()` brings a program into the kernel. A section that begins with `?` means no by
  /// itself.
  public mutating func setAutoload(program: String, _ isLoaded: Bool) throws(BPFError) {
    try check(bpf_program__set_autoload(try handle.program(program), isLoaded), .setAutoload, program)
  }

  /// Creates the maps and has the kernel verify and take the programs. On failure nothing stays in the
  /// kernel, and the error carries the end of the verifier's log.
  public consuming func load() throws(BPFError) -> LoadedObject {
    let log = VerifierLog()
    handle.forEachProgram { program in
      unsafe _ = bpf_program__set_log_buf(program, log.buffer, VerifierLog.size)
    }
    let (result, warnings) = LibbpfLog.collectingWarnings { bpf_object__load(handle.object) }
    handle.forEachProgram { program in
      _ = bpf_program__set_log_buf(program, nil, 0)
    }
    guard result >= 0 else {
      let lines = log.lastLines(20)
      throw BPFError(
        .load, handle.name, errno: -result, detail: warnings.joined(separator: "; "), verifierLog: lines)
    }
    return LoadedObject(handle: handle)
  }
}

/// Room for what the verifier says about a program that it refuses. Pages that it does not fill cost nothing.
@safe private final class VerifierLog {
  /// libbpf's own choice: the kernel refuses a log that does not fit, hiding the reason.
  static let size = 16 << 20
  let buffer: UnsafeMutablePointer<CChar>

  init() {
    unsafe buffer = .allocate(capacity: Self.size)
    unsafe buffer.pointee = 0
  }

  deinit { unsafe buffer.deallocate() }

  func lastLines(_ count: Int) -> [String] {
    unsafe String(cString: buffer).split(separator: "\n").suffix(count).map(String.init)
  }
}
