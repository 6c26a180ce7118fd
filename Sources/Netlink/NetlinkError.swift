// SPDX-License-Identifier: Apache-2.0
internal import SystemError

/// Why the kernel, or the socket to it, refused something.
public struct NetlinkError: Error, Hashable, Sendable {
  /// What was asked, in words: `add address`.
  public let operation: String
  /// What it was asked for: `192.0.2.1/32 on interface 5`.
  public let subject: String
  /// The `errno(3)` number.
  ///
  /// Beside the kernel's own answers: `EBADMSG` when a reply could not be parsed, `EMSGSIZE` when one was
  /// longer than the buffer, `EINTR` when a list changed during each attempt to read it, `EAGAIN` when no
  /// answer came in time.
  public let errno: Int32
  /// The kernel's own explanation (extended acknowledgement), when it gave one.
  public let kernelMessage: String?

  public init(operation: String, subject: String, errno: Int32, kernelMessage: String? = nil) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
    self.kernelMessage = kernelMessage
  }
}

extension NetlinkError: CustomStringConvertible {
  public var description: String {
    let explanation = kernelMessage.map { ": \($0)" } ?? ""
    return "cannot \(operation) \(subject): \(describe(errorNumber: errno))\(explanation)"
  }
}
