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
  /// Why it is not the mode wanted; nil where it is.
  var refusal: DataplaneError?

  /// Puts `program` on the interface: in the place of the one there, if `pins` hold our link to this interface; anew
  /// otherwise. Packets never meet a moment without a program in the first case. A link to another interface ends
  /// once the new one stands; one whose interface is gone is only a corpse.
  ///
  /// For another mode the running program must go first: the kernel has no program in two modes. Packets that come
  /// meanwhile pass to the stack. Where that mode is refused then, the new program goes on in the former one, as the
  /// ``refusal`` tells. `auto` takes generic mode for want of a better one, and tries native mode again unless
  /// `keepsGeneric` says that it would be in vain.
  static func bring(
    _ program: BPFProgram, to interfaceIndex: UInt32, wanted: AttachMode, keepsGeneric: Bool,
    pins: PinDirectory
  ) throws(DataplaneError) -> Attachment {
    let old = pins.openLink()
    let info = try? old?.info
    let isHere = info?.interfaceIndex == interfaceIndex && info?.isHere == true
    var former: AttachMode?
    if let old, isHere {
      // Known before anything is given up: it is what can be had again.
      let mode = try mode(of: interfaceIndex)
      if wanted.allows(mode), wanted != .auto || mode == .native || keepsGeneric {
        try inKernel { () throws(BPFError) in try old.update(program: program) }
        if (try? BPFLink.openPinned(path: pins.link).info.id) != info?.id {
          removePin(pins.link)
          try inKernel { () throws(BPFError) in try old.pin(at: pins.link) }
        }
        let why =
          wanted == .auto && mode == .generic ? "; native mode was refused for this interface and MTU" : ""
        return Attachment(link: old, mode: mode, reason: "kept from the running attachment" + why)
      }
      // An interface has one program, in whichever mode.
      try? old.detach()
      former = mode
    }
    let attachment = try attach(program, to: interfaceIndex, wanted: wanted, orAgain: former)
    if !isHere { try? old?.detach() }
    removePin(pins.link)
    try inKernel { () throws(BPFError) in try attachment.link.pin(at: pins.link) }
    return attachment
  }

  private static func mode(of interfaceIndex: UInt32) throws(DataplaneError) -> AttachMode {
    let current = try inKernel { () throws(BPFError) in
      try XDPAttachment.current(interfaceIndex: interfaceIndex)
    }
    return current?.mode == .generic ? .generic : .native
  }

  /// - Parameter former: the mode to take where the one wanted is refused; nil: none.
  private static func attach(
    _ program: BPFProgram, to interfaceIndex: UInt32, wanted: AttachMode, orAgain former: AttachMode?
  ) throws(DataplaneError) -> Attachment {
    do throws(DataplaneError) {
      return try attach(program, to: interfaceIndex, wanted: wanted)
    } catch {
      guard let former, var again = try? attach(program, to: interfaceIndex, wanted: former) else {
        throw error
      }
      again.refusal = error
      return again
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
        let why = "auto, since the driver does not run XDP programs here: \(error)"
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

extension LinkInfo {
  /// Whether the interface is one of this network namespace: the index alone may be another interface's here.
  var isHere: Bool { (try? XDPAttachment.current(interfaceIndex: interfaceIndex))?.programID == programID }
}
