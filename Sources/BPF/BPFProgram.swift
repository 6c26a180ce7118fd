// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A program that the kernel has verified and keeps while this handle, an attachment or a pin holds it.
public struct BPFProgram: Sendable {
  public let descriptor: BPFDescriptor
  /// The name of the C function; of a program opened from a pin, the kernel's name, at most 15 bytes of it.
  public let name: String

  init(_ descriptor: BPFDescriptor, _ name: String) {
    self.descriptor = descriptor
    self.name = name
  }

  /// Opens a pinned program.
  public static func openPinned(path: String) throws(BPFError) -> BPFProgram {
    let descriptor = try BPFDescriptor(pinned: path, kind: .program)
    return BPFProgram(descriptor, try ProgramInfo(of: descriptor, path).name)
  }

  /// Opens a loaded program by its id. Takes `CAP_SYS_ADMIN`.
  public static func open(id: UInt32) throws(BPFError) -> BPFProgram {
    let number = try check(bpf_prog_get_fd_by_id(id), .inspect, "program \(id)")
    let descriptor = BPFDescriptor(owning: number)
    return BPFProgram(descriptor, try ProgramInfo(of: descriptor, "program \(id)").name)
  }

  /// Makes the program outlive every process, under a path on bpffs that does not exist yet.
  public func pin(at path: String) throws(BPFError) {
    try descriptor.pin(at: path)
  }

  /// What the kernel says about the program.
  public var info: ProgramInfo {
    get throws(BPFError) { try ProgramInfo(of: descriptor, name) }
  }
}

/// What the kernel says about a program.
public struct ProgramInfo: Equatable, Sendable {
  /// Unique among the machine's programs until reboot.
  public var id: UInt32
  /// A hash of the instructions, as 16 hexadecimal digits: equal for equal code.
  public var tag: String
  /// At most 15 bytes: the kernel cuts longer names off.
  public var name: String
  /// The kernel's `bpf_prog_type`.
  public var type: UInt32
}

extension ProgramInfo {
  init(of descriptor: BPFDescriptor, _ subject: String) throws(BPFError) {
    let info = try descriptor.info(bpf_prog_info(), subject)
    let tag = unsafe withUnsafeBytes(of: info.tag) { bytes in
      unsafe bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    self.init(id: info.id, tag: tag, name: string(fromTuple: info.name), type: info.type)
  }

  /// The program with an id, or `nil` where there is none or this process may not look (it takes
  /// `CAP_SYS_ADMIN`).
  init?(id: UInt32) {
    let number = bpf_prog_get_fd_by_id(id)
    guard number >= 0,
      let info = try? ProgramInfo(of: BPFDescriptor(owning: number), "program \(id)")
    else { return nil }
    self = info
  }
}
