// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import Glibc

/// A program where it sees what leaves an interface, or what comes in. Other programs there are not touched.
struct PacketHook {
  let interfaceIndex: UInt32
  private let direction: TCDirection
  private let program: BPFProgram
  /// nil: the kernel has no such links, the program is a filter of `clsact`.
  private let link: BPFLink?

  /// Attaches the program: in front of all others by a link, which takes no capability and ends with the process
  /// (Linux 6.6); else as a filter.
  static func attach(
    _ program: BPFProgram, interfaceIndex: UInt32, direction: TCDirection
  ) throws(BPFError) -> PacketHook {
    do throws(BPFError) {
      let link = try BPFLink.attachTC(program, interfaceIndex: interfaceIndex, direction: direction)
      return PacketHook(interfaceIndex: interfaceIndex, direction: direction, program: program, link: link)
    } catch  where error.errno == EINVAL {
      // A kernel before 6.6.
      return try attachAsFilter(program, interfaceIndex: interfaceIndex, direction: direction)
    }
  }

  /// Attaches the program at a position of its own in clsact, which takes CAP_NET_ADMIN. It replaces what an earlier
  /// daemon left there.
  static func attachAsFilter(
    _ program: BPFProgram, interfaceIndex: UInt32, direction: TCDirection
  ) throws(BPFError) -> PacketHook {
    let hook = PacketHook(interfaceIndex: interfaceIndex, direction: direction, program: program, link: nil)
    try hook.clsact.create()
    try hook.clsact.attach(program, at: position, replacing: true)
    return hook
  }

  /// Far from both ends, so that others find room on either side.
  private static let position = TCHook.Position(priority: 20_000, handle: 0x51)

  private var clsact: TCHook { TCHook(interfaceIndex: interfaceIndex, direction: direction) }

  /// Whether the program is still attached: false if the interface is gone, or another process detached it.
  var isInForce: Bool {
    if let link { return (try? link.info.interfaceIndex) == interfaceIndex }
    return isClsactOurs
  }

  private var isClsactOurs: Bool {
    guard let id = try? program.info.id else { return false }
    return (try? clsact.programID(at: Self.position)) == id
  }

  /// Takes the program away from where it was before, unless that is where it is now.
  func replace(_ old: PacketHook) {
    let isSameFilter =
      link == nil && old.link == nil && interfaceIndex == old.interfaceIndex
      && direction == old.direction
    if !isSameFilter { _ = old.detach() }
  }

  /// Takes the program away.
  /// - Returns: whether it is gone: from clsact a process without CAP_NET_ADMIN cannot take it.
  func detach() -> Bool {
    if let link {
      try? link.detach()
      return true
    }
    guard isClsactOurs else { return true }
    return (try? clsact.detach(Self.position)) ?? false
  }
}
