// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// The hook at which traffic control runs programs on packets that come in through an interface, or leave by it
/// (`clsact`). Unlike a link, what is attached here stays until it is detached or the interface goes.
public struct TCHook: Sendable {
  public let interfaceIndex: UInt32
  public let direction: TCDirection

  public init(interfaceIndex: UInt32, direction: TCDirection = .ingress) {
    self.interfaceIndex = interfaceIndex
    self.direction = direction
  }

  /// The position of a program among those of the hook.
  public struct Position: Hashable, Sendable {
    /// Lower runs first. Between 1 and 65535.
    public var priority: UInt32
    /// Tells programs of the same priority apart.
    public var handle: UInt32

    public init(priority: UInt32, handle: UInt32 = 1) {
      self.priority = priority
      self.handle = handle
    }
  }

  /// Makes the hook, both its directions; `false` when the interface had it already.
  @discardableResult
  public func create() throws(BPFError) -> Bool {
    let result = call(.attach) { hook in unsafe bpf_tc_hook_create(&hook) }
    if result.code == -EEXIST { return false }
    try result.check()
    return true
  }

  /// Attaches a program. A position in use is an error (`EEXIST`), unless `replacing`.
  public func attach(_ program: BPFProgram, at position: Position, replacing: Bool = false) throws(BPFError) {
    try call(.attach) { hook in
      var options = Self.options(position)
      options.prog_fd = program.descriptor.number
      options.flags = replacing ? BPF_TC_F_REPLACE.rawValue : 0
      return unsafe bpf_tc_attach(&hook, &options)
    }.check()
  }

  /// Removes the program at a position; `false` when there was none.
  @discardableResult
  public func detach(_ position: Position) throws(BPFError) -> Bool {
    let result = call(.detach) { hook in
      var options = Self.options(position)
      return unsafe bpf_tc_detach(&hook, &options)
    }
    if result.isAbsence { return false }
    try result.check()
    return true
  }

  /// The id of the program at a position, or `nil`.
  public func programID(at position: Position) throws(BPFError) -> UInt32? {
    var id: UInt32 = 0
    let result = call(.query) { hook in
      var options = Self.options(position)
      let code = unsafe bpf_tc_query(&hook, &options)
      id = options.prog_id
      return code
    }
    if result.isAbsence { return nil }
    try result.check()
    return id
  }

  private static func options(_ position: Position) -> bpf_tc_opts {
    .sized {
      $0.priority = position.priority
      $0.handle = position.handle
    }
  }

  private func call(_ operation: BPFError.Operation, _ body: (inout bpf_tc_hook) -> CInt) -> Result {
    var hook = bpf_tc_hook.sized {
      $0.ifindex = CInt(interfaceIndex)
      $0.attach_point = direction.attachPoint
    }
    let (code, warnings) = LibbpfLog.collectingWarnings { body(&hook) }
    return Result(
      code: code, warnings: warnings, operation: operation,
      subject: "tc \(direction.rawValue) of \(interfaceSubject(interfaceIndex))")
  }

  private struct Result {
    var code: CInt
    var warnings: [String]
    var operation: BPFError.Operation
    var subject: String

    /// No such filter, or no hook that could have one. The kernel's errno does not tell them from other mistakes.
    var isAbsence: Bool {
      code == -ENOENT
        || code == -EINVAL
          && warnings.contains {
            $0.contains("Parent Qdisc") || $0.contains("Cannot find specified filter chain")
          }
    }

    func check() throws(BPFError) {
      try BPF.check(code, operation, subject, detail: warnings.joined(separator: "; "))
    }
  }
}

/// Which packets of an interface traffic control shows to a program.
public enum TCDirection: String, Sendable {
  /// Those that come in.
  case ingress
  /// Those that leave.
  case egress

  var attachPoint: bpf_tc_attach_point {
    switch self {
    case .ingress: BPF_TC_INGRESS
    case .egress: BPF_TC_EGRESS
    }
  }

  /// `BPF_TCX_INGRESS`, `BPF_TCX_EGRESS`: kernel 6.6; the build machine's headers may be older.
  var linkType: bpf_attach_type {
    switch self {
    case .ingress: bpf_attach_type(rawValue: 46)
    case .egress: bpf_attach_type(rawValue: 47)
    }
  }
}
