// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc
internal import SystemError

/// A call to libbpf or the kernel that failed: what was tried, on what, and why it was refused.
public struct BPFError: Error, Equatable, Sendable {
  /// What was being done.
  public var operation: Operation
  /// On what: the name of an object, map, program or interface, or the path of a pin.
  public var subject: String
  /// The kernel's reason, as a positive `errno`.
  public var errno: CInt
  /// What libbpf or this layer knows beyond the number; empty when nothing.
  public var detail: String
  /// The last lines of the verifier's log, when it refused a program; the newest last.
  public var verifierLog: [String]

  init(
    _ operation: Operation, _ subject: String, errno: CInt, detail: String = "", verifierLog: [String] = []
  ) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
    self.detail = detail
    self.verifierLog = verifierLog
  }

  /// What was tried. The raw value completes the sentence "cannot …".
  public enum Operation: String, Sendable {
    case open = "open BPF object"
    case setMaxEntries = "set the size of map"
    case freeze = "set the initial value of section"
    case createMap = "create map"
    case reuse = "reuse a descriptor for map"
    case setAutoload = "choose whether to load program"
    case load = "load BPF object"
    case findMap = "use map"
    case findProgram = "find program"
    case duplicate = "duplicate the descriptor of"
    case lookup = "read map"
    case update = "write map"
    case delete = "delete from map"
    case iterate = "walk through map"
    case memoryMap = "map into memory the map"
    case inspect = "ask the kernel about"
    case pin = "pin at"
    case openPinned = "open the pin"
    case testRun = "test-run program"
    case attach = "attach to"
    case updateLink = "replace the program of"
    case detach = "detach from"
    case query = "ask which program is attached to"
    case waitForReaders = "wait for running programs by"
    case countCPUs = "count"
  }
}

extension BPFError: CustomStringConvertible {
  /// A sentence for the operator, a cure where one is known, and the verifier's words.
  public var description: String {
    var text = "cannot \(operation.rawValue) '\(subject)': \(describe(errorNumber: errno))"
    if !detail.isEmpty { text += ": \(detail)" }
    if let cure { text += ". \(cure)" }
    for line in verifierLog { text += "\n  \(line)" }
    return text
  }

  private var cure: String? {
    switch (errno, operation) {
    case (EPERM, _) where verifierLog.isEmpty:
      "This needs the capabilities CAP_BPF and CAP_NET_ADMIN; run as root, or grant them to the service"
    case (EACCES, .pin), (EACCES, .openPinned):
      "Pins belong to the user who made them; run as that user or root"
    case (ENOENT, .pin):
      "The directory must exist on a mounted bpffs: mount -t bpf bpf /sys/fs/bpf"
    case (ENOENT, .openPinned):
      "Nothing is pinned there"
    case (EBUSY, .attach):
      "Only one program can be attached at a time; detach the other first"
    case (ERANGE, .attach):
      "The MTU of the interface, or of its peer, is above what its driver can do with XDP programs; lower it, or use "
        + "the generic mode"
    case (EOPNOTSUPP, .attach):
      "The interface's driver does not support this mode; the generic mode works on every interface"
    case (E2BIG, .update):
      "The map is full"
    case (EEXIST, .pin):
      "Something is pinned there already; remove it first"
    default: nil
    }
  }
}

/// Turns libbpf's result, negative for failure, into a value or an error.
@discardableResult
func check(
  _ result: CInt, _ operation: BPFError.Operation, _ subject: @autoclosure () -> String,
  detail: @autoclosure () -> String = ""
) throws(BPFError) -> CInt {
  guard result >= 0 else {
    throw BPFError(operation, subject(), errno: -result, detail: detail())
  }
  return result
}
