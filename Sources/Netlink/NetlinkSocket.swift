// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// A conversation with the kernel's route netlink, in the network namespace of the thread that opened it.
///
/// Each call asks and waits for the answer, which the kernel writes before the request returns: calls take
/// microseconds, lists a little longer. A socket answers one caller at a time; it is closed when its owner
/// goes. Reading needs no privilege, changing `CAP_NET_ADMIN`.
public struct NetlinkSocket: ~Copyable, Sendable {
  private let descriptor: FileDescriptor
  private let port: UInt32
  private var sequence: UInt32 = 0

  public init() throws(NetlinkError) {
    try self.init(subscribingTo: [])
  }

  /// - Parameter groups: `RTNLGRP_` constants whose notifications ``receive(_:waiting:)`` is to deliver.
  init(subscribingTo groups: [rtnetlink_groups]) throws(NetlinkError) {
    func fail(_ operation: String) -> NetlinkError {
      NetlinkError(operation: operation, subject: "route netlink socket", errno: Glibc.errno)
    }
    let kind = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)
    guard let descriptor = FileDescriptor(owning: socket(AF_NETLINK, kind, NETLINK_ROUTE)) else {
      throw fail("open")
    }
    // Explanations in words; no echo of the request; requests checked to the letter and dumps filtered by the
    // kernel. A kernel that lacks one of these still answers.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      _ = descriptor.setOption(SOL_NETLINK, option, Int32(1))
    }
    // An answer that was lost must not stop its caller for good.
    guard descriptor.setOption(SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: 2, tv_usec: 0)) else {
      throw fail("limit waiting of")
    }
    if !groups.isEmpty {
      // Room for bursts; beyond the system's limit where this process may.
      let room: Int32 = 4 << 20
      if !descriptor.setOption(SOL_SOCKET, SO_RCVBUFFORCE, room) {
        _ = descriptor.setOption(SOL_SOCKET, SO_RCVBUF, room)
      }
    }

    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
    let bound = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor.number, $0, length) == 0 && getsockname(descriptor.number, $0, &length) == 0
      }
    }
    guard bound else { throw fail("bind") }
    for group in groups {
      guard descriptor.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group.rawValue) else {
        throw fail("subscribe")
      }
    }
    self.port = address.nl_pid
    self.descriptor = descriptor
  }

  /// For `poll(2)`; the socket keeps owning it.
  var descriptorNumber: Int32 { descriptor.number }

  /// Receives one datagram from the kernel.
  ///
  /// - Parameter waiting: whether to wait (two seconds at most) when there is none.
  /// - Throws: `EAGAIN` when there was none, `ENOBUFS` when the kernel had to drop some.
  func receive(_ operation: String, _ subject: String, waiting: Bool = true) throws(NetlinkError) -> [Message]
  {
    func fail(_ code: Int32) -> NetlinkError {
      NetlinkError(operation: operation, subject: subject, errno: code)
    }
    // What the kernel fills at most for one datagram of a dump. Longer ones are noticed, not cut.
    let capacity = 32 << 10
    while true {
      var sender = sockaddr_nl()
      var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
      var received = 0
      let datagram = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
        received = unsafe withUnsafeMutablePointer(to: &sender) {
          unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            let flags = Int32(MSG_TRUNC) | (waiting ? 0 : Int32(MSG_DONTWAIT))
            return unsafe recvfrom(descriptor.number, buffer.baseAddress, capacity, flags, $0, &senderLength)
          }
        }
        count = min(max(received, 0), capacity)
      }
      if received < 0 {
        let code = Glibc.errno
        if code == EINTR { continue }
        throw fail(code)
      }
      // Only the kernel (port 0) is believed.
      guard sender.nl_pid == 0 else { continue }
      guard received <= capacity else { throw fail(EMSGSIZE) }
      guard let messages = Message.parse(datagram[...]) else { throw fail(EBADMSG) }
      return messages
    }
  }

  /// Sends `request` and returns what answers it, up to the acknowledgement.
  ///
  /// - Parameter request: with `NLM_F_ACK` or `NLM_F_DUMP`, so that its answer has an end, unless it is one message.
  @discardableResult
  mutating func perform(
    _ operation: String, _ subject: String, _ request: MessageWriter
  ) throws(NetlinkError) -> [Message] {
    // A list that changed while it was read is read again. In a busy system one of a few attempts is
    // undisturbed.
    for _ in 0..<8 {
      if let messages = try attempt(operation, subject, request) { return messages }
    }
    throw NetlinkError(operation: operation, subject: subject, errno: EINTR)
  }

  /// `nil` when the answer was interrupted.
  private mutating func attempt(
    _ operation: String, _ subject: String, _ request: MessageWriter
  ) throws(NetlinkError) -> [Message]? {
    // Late answers to other requests are skipped by their number.
    if request.isForList { discardLeftovers() }
    sequence &+= 1
    let bytes = request.numbered(sequence)
    while unsafe send(descriptor.number, bytes, bytes.count, 0) < 0 {
      let code = Glibc.errno
      if code != EINTR { throw NetlinkError(operation: operation, subject: subject, errno: code) }
    }
    var reply = Reply(sequence: sequence, port: port, isAcknowledged: request.isAcknowledged)
    while true {
      switch reply.add(try receive(operation, subject)) {
      case .incomplete: continue
      case .complete: return reply.messages
      case .interrupted: return nil
      case .failed(let code, let explanation):
        throw NetlinkError(
          operation: operation, subject: subject, errno: code, kernelMessage: explanation)
      }
    }
  }

  /// Reads what an earlier request left that was given up: the kernel starts no list before the last is read.
  private func discardLeftovers() {
    for _ in 0..<4096 {
      do throws(NetlinkError) {
        _ = try receive("receive", "late answers", waiting: false)
      } catch  where error.errno == EAGAIN {
        return
      } catch {
        continue
      }
    }
  }
}
