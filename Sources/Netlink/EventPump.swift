// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// The monitor's thread: moves events from the socket to the stream until the stop signal is raised.
struct EventPump: ~Copyable, Sendable {
  private let socket: NetlinkSocket
  private let stop: StopSignal
  private var sink: EventSink

  init(socket: consuming NetlinkSocket, stop: StopSignal, sink: EventSink) {
    self.socket = socket
    self.stop = stop
    self.sink = sink
  }

  /// Hands the pump to a new thread, which keeps it until the stop signal.
  consuming func start() throws(NetlinkError) {
    let cargo = unsafe Unmanaged.passRetained(Cargo(pump: self))
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        let cargo = unsafe Unmanaged<Cargo>.fromOpaque(argument!).takeRetainedValue()
        cargo.pump.run()
        return nil
      }, cargo.toOpaque())
    guard code == 0 else {
      unsafe cargo.release()
      throw NetlinkError(operation: "start", subject: "netlink monitor's thread", errno: code)
    }
    pthread_detach(thread)
  }

  fileprivate mutating func run() {
    while waitForEvents() {
      drain()
      sink.settle()
    }
  }

  /// `false` when the stop signal was raised.
  private func waitForEvents() -> Bool {
    var waits = [
      pollfd(fd: socket.descriptorNumber, events: Int16(POLLIN), revents: 0),
      pollfd(fd: stop.descriptorNumber, events: Int16(POLLIN), revents: 0),
    ]
    // The stream does not signal free capacity, so poll while an overrun is due.
    _ = unsafe poll(&waits, nfds_t(waits.count), sink.owesOverrun ? 20 : -1)
    return waits[1].revents == 0
  }

  /// Reads at most 4096 datagrams, so that an endless burst delays neither its summary nor the stop signal.
  private mutating func drain() {
    var routesChanged = false
    var addressesChanged = false
    for _ in 0..<4096 {
      do {
        for event in try socket.receive("receive", "notifications", waiting: false).compactMap(
          NetlinkEvent.init)
        {
          switch event {
          case .routesChanged: routesChanged = true
          case .addressesChanged: addressesChanged = true
          case .link, .neighbour, .overrun: sink.accept(event)
          }
        }
      } catch {
        if error.errno == EAGAIN { break }
        // ENOBUFS, or a malformed notification: an event is missing in both cases.
        sink.recordLoss()
      }
    }
    if routesChanged { sink.accept(.routesChanged) }
    if addressesChanged { sink.accept(.addressesChanged) }
  }
}

/// Carries a pump through the C interface of threads, by reference.
private final class Cargo {
  var pump: EventPump

  init(pump: consuming EventPump) {
    self.pump = pump
  }
}
