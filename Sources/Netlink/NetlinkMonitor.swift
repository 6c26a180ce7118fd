// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// Reports changes of links, neighbours, routes and addresses in the network namespace of the thread that creates it.
///
/// Create the monitor first and read the state afterwards; then no change is missed.
///
/// **Back-pressure.** The kernel does not wait for readers. If its socket buffer overflows, or `bufferLimit` events are
/// waiting in ``events``, events are dropped and replaced by one ``NetlinkEvent/overrun``. It follows the events that were
/// kept, so a state that is read on `overrun` includes all dropped changes. Within one burst, changes of routes and of
/// addresses are reported once, at its end.
///
/// A thread of the monitor's own waits for the kernel. It ends and closes the socket on ``cancel()``, when the task that
/// reads ``events`` is cancelled, and when the last copy of the monitor and of its stream is released.
public struct NetlinkMonitor: Sendable {
  /// The changes, in the kernel's order. For one reader.
  public let events: AsyncStream<NetlinkEvent>
  private let continuation: AsyncStream<NetlinkEvent>.Continuation

  /// - Parameter bufferLimit: the number of events that may wait for the reader.
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

  /// Ends ``events`` after those that are waiting. A second call has no effect.
  public func cancel() {
    continuation.finish()
  }
}

/// Wakes the monitor's thread so that it ends. The descriptor lives as long as either side uses it.
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
