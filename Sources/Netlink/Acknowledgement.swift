// SPDX-License-Identifier: Apache-2.0
internal import CNetlink

/// The end of an answer: success, or what went wrong.
struct Acknowledgement: Equatable {
  /// 0 for success.
  let errno: Int32
  /// The kernel's explanation; it may accompany success as a warning.
  let message: String?

  /// Reads `NLMSG_ERROR` and `NLMSG_DONE`. `nil` when the message is shorter than its type asks.
  init?(_ message: Message) {
    let isDone = message.type == Int(NLMSG_DONE)
    // Old kernels end a dump with an empty NLMSG_DONE.
    guard let code = message.payload.loaded(Int32.self) ?? (isDone ? 0 : nil), code <= 0, code > Int32.min
    else {
      return nil
    }
    errno = -code
    guard message.flags & NLM_F_ACK_TLVS != 0 else {
      self.message = nil
      return
    }
    var length = MemoryLayout<Int32>.size
    if !isDone {
      guard let error = message.payload.loaded(nlmsgerr.self) else { return nil }
      length = MemoryLayout<nlmsgerr>.size
      if message.flags & NLM_F_CAPPED == 0 {
        // The whole request was echoed before the attributes; nlmsgerr holds only its header.
        length += aligned(max(0, Int(error.msg.nlmsg_len) - MemoryLayout<nlmsghdr>.size))
      }
    }
    self.message =
      Attributes(bytes: message.payload.dropFirst(length))
      .first { $0.type == Int(NLMSGERR_ATTR_MSG.rawValue) }?.text
  }
}
