// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// An open descriptor of a kernel BPF object. The kernel keeps the object while the descriptor, a pin or
/// another user holds it; the descriptor closes with the last copy of the handles that share it.
public final class BPFDescriptor: Sendable {
  /// The number, for calls that take one, such as storing a program in a program array. Valid while `self`
  /// lives.
  public let number: CInt

  /// Takes over `number`.
  init(owning number: CInt) {
    self.number = number
  }

  /// A second descriptor of what `number` refers to, so that the handle outlives the owner of `number`.
  init(duplicating number: CInt, _ subject: String) throws(BPFError) {
    let duplicate = fcntl(number, F_DUPFD_CLOEXEC, 3)
    self.number = try check(duplicate < 0 ? -Glibc.errno : duplicate, .duplicate, subject)
  }

  /// Opens a pin and makes sure that it is of the kind the caller is about to treat it as.
  init(pinned path: String, kind: Kind) throws(BPFError) {
    number = try check(unsafe bpf_obj_get(path), .openPinned, path)
    guard Self.kind(of: number) == kind.rawValue else {
      throw BPFError(.openPinned, path, errno: EINVAL, detail: "the pin is not a \(kind.word)")
    }
  }

  deinit {
    close(number)
  }

  func pin(at path: String) throws(BPFError) {
    try check(unsafe bpf_obj_pin(number, path), .pin, path)
  }

  /// What the kernel says about the object; `Info` must be the structure of its kind.
  func info<Info>(_ empty: Info, _ subject: String) throws(BPFError) -> Info {
    var info = empty
    var size = UInt32(MemoryLayout<Info>.size)
    let result = unsafe withUnsafeMutablePointer(to: &info) {
      unsafe bpf_obj_get_info_by_fd(number, $0, &size)
    }
    try check(result, .inspect, subject)
    return info
  }

  enum Kind: String {
    case map = "anon_inode:bpf-map"
    case program = "anon_inode:bpf-prog"
    case link = "anon_inode:bpf-link"

    var word: String {
      switch self {
      case .map: "map"
      case .program: "program"
      case .link: "link"
      }
    }
  }

  /// The kind of a descriptor, by `/proc`: the information call returns different structures for the three kinds and
  /// does not name the kind. A link opened from a pin is called `bpf-link`, a new one `bpf_link`.
  private static func kind(of number: CInt) -> String {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = unsafe buffer.withUnsafeMutableBytes { bytes in
      unsafe readlink("/proc/self/fd/\(number)", bytes.baseAddress!, bytes.count)
    }
    return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
  }
}
