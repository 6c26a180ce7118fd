// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import Glibc
public import LoadBalancing

/// The program on an uplink's interface, by a pinned link that outlives the daemon.
public struct Attachment: Sendable {
  let uplink: UplinkIndex
  let link: BPFLink
  /// Native or generic, never auto.
  public let mode: AttachMode
  /// Why this mode, in a sentence.
  public let reason: String
  /// Why it is not the mode wanted; nil where it is.
  var refusal: DataplaneError?

  /// Attaches `program` to the interface. If `pins` hold our link to this interface, the program of the link is
  /// replaced, and no packet meets the interface without a program. Otherwise a new link is made. A link to another
  /// interface is detached once the new one stands. A link whose interface was deleted is discarded.
  ///
  /// To change the mode, the running program is detached first, because an interface has a program in one mode only.
  /// Packets that come meanwhile pass to the stack. If the kernel then refuses the mode, the new program is attached in
  /// the former one, and ``refusal`` says why. `auto` falls back to generic mode. The next call tries native mode
  /// again, unless `keepsGeneric`.
  static func bring(
    _ program: BPFProgram, to interfaceIndex: UInt32, of uplink: UplinkIndex, wanted: AttachMode,
    keepsGeneric: Bool, pins: PinDirectory
  ) throws(DataplaneError) -> Attachment {
    let old = pins.openLink(of: uplink)
    let pin = pins.link(of: uplink)
    let info = try? old?.info
    let isHere = info?.interfaceIndex == interfaceIndex && info?.isHere == true
    var former: AttachMode?
    if let old, isHere {
      // Read before the program is detached, so that it can be attached again in that mode.
      let mode = try mode(of: interfaceIndex)
      if wanted.allows(mode), wanted != .auto || mode == .native || keepsGeneric {
        try inKernel { () throws(BPFError) in try old.update(program: program) }
        if (try? BPFLink.openPinned(path: pin).info.id) != info?.id {
          removePin(pin)
          try inKernel { () throws(BPFError) in try old.pin(at: pin) }
        }
        let why =
          wanted == .auto && mode == .generic ? "; native mode was refused for this interface and MTU" : ""
        return Attachment(
          uplink: uplink, link: old, mode: mode, reason: "kept from the running attachment" + why)
      }
      // An interface has one program, in whichever mode.
      try? old.detach()
      former = mode
    }
    let attachment = try attach(program, to: interfaceIndex, of: uplink, wanted: wanted, orAgain: former)
    if !isHere { try? old?.detach() }
    removePin(pin)
    try inKernel { () throws(BPFError) in try attachment.link.pin(at: pin) }
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
    _ program: BPFProgram, to interfaceIndex: UInt32, of uplink: UplinkIndex, wanted: AttachMode,
    orAgain former: AttachMode?
  ) throws(DataplaneError) -> Attachment {
    do throws(DataplaneError) {
      return try attach(program, to: interfaceIndex, of: uplink, wanted: wanted)
    } catch {
      guard let former, var again = try? attach(program, to: interfaceIndex, of: uplink, wanted: former)
      else {
        throw error
      }
      again.refusal = error
      return again
    }
  }

  private static func attach(
    _ program: BPFProgram, to interfaceIndex: UInt32, of uplink: UplinkIndex, wanted: AttachMode
  ) throws(DataplaneError) -> Attachment {
    func attach(_ mode: AttachMode, _ reason: String) throws(BPFError) -> Attachment {
      let link = try BPFLink.attachXDP(
        program, interfaceIndex: interfaceIndex, mode: mode == .generic ? .generic : .native)
      return Attachment(uplink: uplink, link: link, mode: mode, reason: reason)
    }
    switch wanted {
    case .native: return try inKernel { () throws(BPFError) in try attach(.native, "configured") }
    case .generic: return try inKernel { () throws(BPFError) in try attach(.generic, "configured") }
    case .auto:
      do throws(BPFError) {
        return try attach(.native, "auto: the driver runs XDP programs")
      } catch  where error.errno != EBUSY && error.errno != EEXIST {
        let why = "auto, since the driver does not run XDP programs here: \(error)"
        return try inKernel { () throws(BPFError) in try attach(.generic, why) }
      } catch {
        // Another program is attached, which excludes both modes.
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
