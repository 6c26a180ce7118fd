// SPDX-License-Identifier: Apache-2.0
internal import CLibBPF
internal import Glibc

/// A program's attachment to an interface. It ends with the last handle, unless it is pinned, and with the
/// interface.
public struct BPFLink: Sendable {
  public let descriptor: BPFDescriptor
  /// The interface's name, or the path of the pin that the link was opened from. Used in errors.
  public let name: String

  private init(_ descriptor: BPFDescriptor, _ name: String) {
    self.descriptor = descriptor
    self.name = name
  }

  /// Attaches an XDP program. If another one is attached, the error names it.
  public static func attachXDP(
    _ program: BPFProgram, interfaceIndex: UInt32, mode: XDPMode
  ) throws(BPFError) -> BPFLink {
    let options = unsafe bpf_link_create_opts.sized { unsafe $0.flags = mode.flag }
    let result = unsafe withUnsafePointer(to: options) {
      unsafe bpf_link_create(program.descriptor.number, CInt(interfaceIndex), BPF_XDP, $0)
    }
    let interface = interfaceSubject(interfaceIndex)
    try check(result, .attach, interface, detail: obstacle(to: result, interfaceIndex) ?? "")
    return BPFLink(BPFDescriptor(owning: result), interface)
  }

  /// Attaches a traffic control program before all others (tcx). It requires a loaded program and no capability. Linux
  /// before 6.6 refuses with `EINVAL`; use ``TCHook`` there.
  public static func attachTC(
    _ program: BPFProgram, interfaceIndex: UInt32, direction: TCDirection
  ) throws(BPFError) -> BPFLink {
    let options = unsafe bpf_link_create_opts.sized { unsafe $0.flags = beforeAllOthers }
    let result = unsafe withUnsafePointer(to: options) {
      unsafe bpf_link_create(program.descriptor.number, CInt(interfaceIndex), direction.linkType, $0)
    }
    let interface = interfaceSubject(interfaceIndex)
    try check(
      result, .attach, "tc \(direction.rawValue) of \(interface)",
      detail: result == -ENODEV ? "this network namespace has no such interface" : "")
    return BPFLink(BPFDescriptor(owning: result), interface)
  }

  /// `BPF_F_BEFORE` without a reference: the first position.
  private static var beforeAllOthers: UInt32 { 1 << 3 }

  /// Details of a refused attachment beyond its errno.
  private static func obstacle(to result: CInt, _ interfaceIndex: UInt32) -> String? {
    switch -result {
    case EBUSY, EEXIST:
      guard let other = try? XDPAttachment.current(interfaceIndex: interfaceIndex) else { return nil }
      return "\(other) is attached already"
    case EINVAL where interfaceName(interfaceIndex) == nil:
      return "this network namespace has no such interface"
    default: return nil
    }
  }

  /// Opens a pinned link.
  public static func openPinned(path: String) throws(BPFError) -> BPFLink {
    BPFLink(try BPFDescriptor(pinned: path, kind: .link), path)
  }

  /// Pins the attachment at a new path on bpffs, so that it outlives every process.
  public func pin(at path: String) throws(BPFError) {
    try descriptor.pin(at: path)
  }

  /// Replaces the attached program atomically: no packet passes without a program. With `replacing`, fails with `EPERM`
  /// unless that program is attached.
  public func update(program: BPFProgram, replacing old: BPFProgram? = nil) throws(BPFError) {
    var options = bpf_link_update_opts.sized {
      if let old {
        $0.flags = UInt32(BPF_F_REPLACE)
        $0.old_prog_fd = UInt32(old.descriptor.number)
      }
    }
    let result = unsafe bpf_link_update(descriptor.number, program.descriptor.number, &options)
    if result == -EPERM, let old {
      throw BPFError(.updateLink, name, errno: EPERM, detail: "'\(old.name)' is not the program attached now")
    }
    try check(result, .updateLink, name)
  }

  /// Ends the attachment, even if others hold or pin the link.
  public func detach() throws(BPFError) {
    try check(bpf_link_detach(descriptor.number), .detach, name)
  }

  /// `BPF_LINK_TYPE_TCX`: kernel 6.6; the build machine's headers may be older.
  private static var tcxType: UInt32 { 11 }

  /// What the kernel says about the link.
  public var info: LinkInfo {
    get throws(BPFError) {
      let info = try descriptor.info(bpf_link_info(), name)
      guard [BPF_LINK_TYPE_XDP.rawValue, Self.tcxType].contains(info.type) else {
        throw BPFError(.inspect, name, errno: EINVAL, detail: "the link attaches no program to an interface")
      }
      // Both kinds begin with the interface.
      return LinkInfo(id: info.id, programID: info.prog_id, interfaceIndex: info.xdp.ifindex)
    }
  }
}

/// What the kernel says about a link of a program to an interface.
public struct LinkInfo: Equatable, Sendable {
  /// Unique among the machine's links until reboot.
  public var id: UInt32
  public var programID: UInt32
  /// 0 when the link is detached or the interface is gone.
  public var interfaceIndex: UInt32
}
