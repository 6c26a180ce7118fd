// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(10))) struct NetlinkMonitorTests {
  /// Reads up to the first event that matches; whether there was one.
  private func see(
    _ events: AsyncStream<NetlinkEvent>, _ isWanted: (NetlinkEvent) -> Bool
  ) async -> Bool {
    for await event in events where isWanted(event) { return true }
    return false
  }

  @Test func changesOfALinkAreTold() async throws {
    let wire = try Wire()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    func seeLink(_ isWanted: (Link, Bool) -> Bool) async -> Bool {
      await see(monitor.events) {
        if case .link(let link, let removed) = $0, link.name == "slnl0" {
          isWanted(link, removed)
        } else {
          false
        }
      }
    }

    try wire.near.run("ip", "link", "set", "slnl0", "mtu", "1400")
    #expect(await seeLink { link, removed in link.mtu == 1400 && !removed })
    try wire.near.run("ip", "link", "set", "slnl0", "address", "02:00:00:00:00:42")
    #expect(await seeLink { link, _ in link.hardwareAddress == HardwareAddress("02:00:00:00:00:42") })
    try wire.far.run("ip", "link", "set", "slnl1", "down")
    #expect(await seeLink { link, _ in link.isUp && !link.isRunning })
    try wire.near.run("ip", "link", "set", "slnl0", "down")
    #expect(await seeLink { link, _ in !link.isUp })
    try wire.near.run("ip", "link", "del", "slnl0")
    #expect(await seeLink { _, removed in removed })
  }

  @Test func changesOfRoutesAndAddressesAreTold() async throws {
    let wire = try Wire()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    try wire.near.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    #expect(await see(monitor.events) { $0 == .addressesChanged })
    try wire.near.run("ip", "route", "add", "198.51.100.0/24", "via", "10.99.0.2")
    #expect(await see(monitor.events) { $0 == .routesChanged })
    try wire.near.run("ip", "-6", "route", "add", "2001:db8::/32", "via", "fd99::2")
    #expect(await see(monitor.events) { $0 == .routesChanged })
  }

  @Test func removedNeighboursAreTold() async throws {
    let wire = try Wire()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    try wire.near.run("ip", "neighbour", "add", "10.99.0.2", "lladdr", "02:00:00:00:00:02", "dev", "slnl0")
    try wire.near.run("ip", "neighbour", "del", "10.99.0.2", "dev", "slnl0")
    #expect(
      await see(monitor.events) {
        if case .neighbour(let neighbour, removed: true) = $0 {
          neighbour.address == Wire.far[0]
        } else {
          false
        }
      })
  }

  @Test func aSlowReaderLearnsThatItMissedEvents() async throws {
    let namespace = try NetworkNamespace()
    let monitor = try namespace.inside { try NetlinkMonitor(bufferLimit: 2) }
    defer { monitor.cancel() }
    try namespace.run("ip", "link", "add", "slnl0", "type", "veth", "peer", "name", "slnl1")
    for mtu in 1400..<1410 { try namespace.run("ip", "link", "set", "slnl0", "mtu", "\(mtu)") }
    // The overrun comes behind the events that were kept, and what follows it is new.
    var seen: [NetlinkEvent] = []
    for await event in monitor.events {
      seen.append(event)
      if event == .overrun { break }
    }
    #expect(seen.count == 3)
    try namespace.run("ip", "link", "set", "slnl0", "mtu", "1300")
    #expect(
      await see(monitor.events) {
        if case .link(let link, removed: false) = $0 { link.mtu == 1300 } else { false }
      })
  }

  @Test func aMonitorSeesItsOwnNamespaceOnly() async throws {
    let wire = try Wire()
    let monitor = try wire.far.inside { try NetlinkMonitor() }
    try wire.near.run("ip", "link", "set", "slnl0", "mtu", "1400")
    try await Task.sleep(for: .milliseconds(100))
    monitor.cancel()
    // What its own end of the wire still has to tell, late, is no matter.
    for await event in monitor.events {
      if case .link(let link, removed: false) = event, link.mtu == 1400 { Issue.record("\(event)") }
    }
  }

  enum Ending: CaseIterable { case cancelled, taskCancelled, dropped }

  @Test(arguments: Ending.allCases)
  func theThreadEndsWithTheMonitor(_ ending: Ending) async throws {
    weak var signal: StopSignal?
    do {
      let stop = try StopSignal()
      signal = stop
      let monitor = try NetlinkMonitor(bufferLimit: 8, stop: stop)
      switch ending {
      case .cancelled:
        monitor.cancel()
        monitor.cancel()
      case .taskCancelled:
        let reader = Task { for await _ in monitor.events {} }
        reader.cancel()
        await reader.value
      case .dropped:
        break
      }
    }
    // The thread is the last that holds the signal; its socket goes with it.
    #expect(try await eventually { signal == nil ? true : nil } == true)
  }
}

@Suite struct EventSinkTests {
  @Test func nothingIsPassedWhileAnOverrunIsDue() async {
    let (events, continuation) = AsyncStream.makeStream(
      of: NetlinkEvent.self, bufferingPolicy: .bufferingOldest(8))
    var sink = EventSink(continuation: continuation)
    sink.accept(.routesChanged)
    sink.recordLoss()
    sink.accept(.addressesChanged)
    sink.settle()
    sink.settle()
    sink.accept(.routesChanged)
    continuation.finish()
    var seen: [NetlinkEvent] = []
    for await event in events { seen.append(event) }
    #expect(seen == [.routesChanged, .overrun, .routesChanged])
  }
}
