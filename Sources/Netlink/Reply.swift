// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// Gathers the messages that answer one request, up to the acknowledgement or, where none was asked for, to the first
/// message.
struct Reply {
  /// How far the answer has come.
  enum Progress: Equatable {
    case incomplete
    case complete
    /// A list that changed while it was read: entries may be missing or double.
    case interrupted
    case failed(errno: Int32, kernelMessage: String?)
  }

  let sequence: UInt32
  /// The port of the socket that asked.
  let port: UInt32
  /// Whether the kernel was asked to acknowledge the request, or for a list, which has an end.
  let isAcknowledged: Bool
  /// The answer itself, without acknowledgements.
  private(set) var messages: [Message] = []
  private var isInterrupted = false

  init(sequence: UInt32, port: UInt32, isAcknowledged: Bool) {
    self.sequence = sequence
    self.port = port
    self.isAcknowledged = isAcknowledged
  }

  /// Adds the next datagram. Late answers to earlier requests in it are skipped.
  mutating func add(_ datagram: [Message]) -> Progress {
    for message in datagram where message.sequence == sequence && message.port == port {
      isInterrupted = isInterrupted || message.flags & NLM_F_DUMP_INTR != 0
      guard message.type == Int(NLMSG_ERROR) || message.type == Int(NLMSG_DONE) else {
        messages.append(message)
        guard isAcknowledged else { return .complete }
        continue
      }
      guard let outcome = Acknowledgement(message) else { return .failed(errno: EBADMSG, kernelMessage: nil) }
      if outcome.errno != 0 { return .failed(errno: outcome.errno, kernelMessage: outcome.message) }
      return isInterrupted ? .interrupted : .complete
    }
    return .incomplete
  }
}
