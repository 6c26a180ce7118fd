// SPDX-License-Identifier: Apache-2.0
internal import BPF
public import LoadBalancing

/// The program on its interface, by a pinned link that outlives the daemon.
public struct Attachment: Sendable {
  let link: BPFLink
  /// Native or generic, never auto.
  public let mode: AttachMode
  /// Why this mode, in a sentence.
  public let reason: String

  /// Puts `program` on the interface: in the place of the one there, if `pins` hold our link to this interface; anew
  /// otherwise. Packets never meet a moment without a program in the first case.
  static func bring(
    _ program: BPFProgram, to interfaceIndex: UInt32, wanted: AttachMode, pins: PinDirectory
  ) throws(DataplaneError) -> Attachment {
    if let old = pinnedLink(pins, to: interfaceIndex), let mode = mode(of: interfaceIndex),
      wanted.allows(mode)
    {
      try inKernel { () throws(BPFError) in try old.update(program: program) }
      return Attachment(link: old, mode: mode, reason: "kept from the running attachment")
    }
    if let stale = try? BPFLink.openPinned(path: pins.link) { try? stale.detach() }
    removePin(pins.link)
    let attachment = try attach(program, to: interfaceIndex, wanted: wanted)
    try inKernel { () throws(BPFError) in try attachment.link.pin(at: pins.link) }
    return attachment
  }

  private static func pinnedLink(_ pins: PinDirectory, to interfaceIndex: UInt32) -> BPFLink? {
    guard let link = try? BPFLink.openPinned(path: pins.link),
      let info = try? link.info, info.interfaceIndex == interfaceIndex
    else { return nil }
    return link
  }

  private static func mode(of interfaceIndex: UInt32) -> AttachMode? {
    (try? XDPAttachment.current(interfaceIndex: interfaceIndex)).flatMap {
      $0?.mode == .generic ? .generic : .native
    }
  }

  private static func attach(
    _ program: BPFProgram, to interfaceIndex: UInt32, wanted: AttachMode
  ) throws(DataplaneError) -> Attachment {
    func attach(_ mode: AttachMode, _ reason: String) throws(BPFError) -> Attachment {
      let link = try BPFLink.attachXDP(
        program, interfaceIndex: interfaceIndex, mode: mode == .generic ? .generic : .native)
      return Attachment(link: link, mode: mode, reason: reason)
    }
    switch wanted {
    case .native: return try inKernel { () throws(BPFError) in try attach(.native, "configured") }
    case .generic: return try inKernel { () throws(BPFError) in try attach(.generic, "configured") }
    case .auto:
      do throws(BPFError) {
        return try attach(.native, "auto: the driver runs XDP programs")
      } catch  where error.errno != 16 && error.errno != 17 {  // EBUSY, EEXIST: another program, in any mode
        let why =
          "auto: the driver refused native XDP (\(error.detail.isEmpty ? "errno \(error.errno)" : error.detail))"
        return try inKernel { () throws(BPFError) in try attach(.generic, why) }
      } catch {
        throw .kernel(error)
      }
    }
  }
}

extension AttachMode {
  fileprivate func allows(_ mode: AttachMode) -> Bool { self == .auto || self == mode }
}
