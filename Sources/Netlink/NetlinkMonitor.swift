// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// Tells of changes to links, neighbours, routes and addresses, in the network namespace of the thread that
/// made it.
///
/// To miss nothing, make the monitor first and read the state afterwards.
///
/// **Back-pressure.** The kernel cannot be made to wait, so what a slow reader misses is replaced by one
/// ``NetlinkEvent/overrun``: when the kernel's socket buffer ran full, and when `bufferLimit` events wait in
/// ``events``. In the second case further events are dropped until the reader has caught up, and the overrun
/// comes after the ones that were kept: a state read on `overrun` includes all that was dropped. Within one
/// burst, changes of routes and of addresses are told once, at its end.
///
/// A thread of its own waits for the kernel. It ends, and the socket is closed, on ``cancel()``, when the
/// task that reads ``events`` is cancelled, and when the last copy of the monitor and of its stream is gone.
public struct NetlinkMonitor: Sendable {
  /// The changes, in the kernel's order. For one reader.
  public let events: AsyncStream<NetlinkEvent>
  private let continuation: AsyncStream<NetlinkEvent>.Continuation

  /// - Parameter bufferLimit: how many events may wait for the reader.
  public init(bufferLimit: Int = 4096) throws(NetlinkError) {
    try self.init(bufferLimit: bufferLimit, stop: StopSignal())
  }

  init(bufferLimit: Int, stop: StopSignal) throws(NetlinkError) {
    let socket = try NetlinkSocket(subscribingTo: [
      RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
      RTNLGRP_IPV6_ROUTE,
    ])
    (events, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(bufferLimit))
    continuation.onTermination = { _ in stop.raise() }
    try EventPump(socket: socket, stop: stop, sink: EventSink(continuation: continuation)).start()
  }

  /// Ends ``events`` after those that are waiting. Ending twice is harmless.
  public func cancel() {
    continuation.finish()
  }
}

/// Wakes the monitor's thread for its end. Its descriptor lives as long as somebody may raise it or wait for
/// it.
final class StopSignal: Sendable {
  private let descriptor: FileDescriptor

  init() throws(NetlinkError) {
    guard let descriptor = FileDescriptor(owning: eventfd(0, Int32(EFD_CLOEXEC))) else {
      throw NetlinkError(operation: "open", subject: "event descriptor", errno: Glibc.errno)
    }
    self.descriptor = descriptor
  }

  var descriptorNumber: Int32 { descriptor.number }

  func raise() {
    _ = eventfd_write(descriptor.number, 1)
  }
}
