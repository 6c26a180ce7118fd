// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(1))) struct NeighbourTests {
  let wire: Wire
  let index: UInt32

  init() throws {
    wire = try Wire()
    index = try wire.nearIndex()
  }

  /// Ages neighbour entries in tenths of seconds instead of half-minutes.
  private func hurry() throws {
    for family in ["ipv4", "ipv6"] {
      let folder = "\(family)/neigh/slnl0"
      try wire.near.set("\(folder)/base_reachable_time_ms", to: 200)
      try wire.near.set("\(folder)/delay_first_probe_time", to: 1)
      try wire.near.set("\(folder)/interval_probe_time_ms", to: 100)
      try wire.near.set("\(folder)/retrans_time_ms", to: 50)
    }
  }

  @Test(arguments: Wire.far)
  func keptNeighboursAreResolvedAndManaged(_ address: NetworkAddress) async throws {
    var socket = try wire.nearSocket()
    let index = index
    #expect(try socket.neighbour(address, interfaceIndex: index) == nil)
    #expect(try socket.keepResolved(address, interfaceIndex: index) == .kernel)
    let neighbour = try await eventually {
      let neighbour = try socket.neighbour(address, interfaceIndex: index)
      return neighbour?.state == .reachable ? neighbour : nil
    }
    #expect(neighbour?.hardwareAddress == Wire.farMAC && neighbour?.usableHardwareAddress == Wire.farMAC)
    #expect(neighbour?.isManaged == true)
    #expect(try socket.neighbours(interfaceIndex: index).contains { $0.address == address })
    #expect(try socket.neighbours(interfaceIndex: 1).isEmpty)

    #expect(try socket.keepResolved(address, interfaceIndex: index) == .kernel)
    try socket.stopKeepingResolved(address, interfaceIndex: index)
    let released = try socket.neighbour(address, interfaceIndex: index)
    #expect(released?.isManaged == false && released?.usableHardwareAddress == Wire.farMAC)
    try socket.stopKeepingResolved(address, interfaceIndex: index)
  }

  @Test(arguments: Wire.far)
  func keptNeighboursAreRefreshedWithoutTraffic(_ address: NetworkAddress) async throws {
    try hurry()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    var socket = try wire.nearSocket()
    try socket.keepResolved(address, interfaceIndex: index)
    // Reachable again after having been asked again, twice: nobody but the kernel asks.
    var confirmations = 0
    var last: NeighbourState = []
    for await case .neighbour(let neighbour, false) in monitor.events where neighbour.address == address {
      if neighbour.state == .reachable && last != .reachable { confirmations += 1 }
      last = neighbour.state
      if confirmations == 3 { break }
    }
    #expect(confirmations == 3)
  }

  @Test(arguments: Wire.far)
  func aNewHardwareAddressIsNoticed(_ address: NetworkAddress) async throws {
    try hurry()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    var socket = try wire.nearSocket()
    try socket.keepResolved(address, interfaceIndex: index)
    var isChanged = false
    let other = try #require(HardwareAddress("02:00:00:00:00:99"))
    for await case .neighbour(let neighbour, false) in monitor.events where neighbour.address == address {
      if neighbour.usableHardwareAddress == Wire.farMAC && !isChanged {
        try wire.far.run("ip", "link", "set", "slnl1", "address", "\(other)")
        isChanged = true
      }
      if neighbour.usableHardwareAddress == other { break }
    }
    let neighbour = try socket.neighbour(address, interfaceIndex: index)
    #expect(isChanged && neighbour?.hardwareAddress == other)
  }

  @Test func silentNeighboursFail() async throws {
    try hurry()
    var socket = try wire.nearSocket()
    let (address, index) = (NetworkAddress("10.99.0.77")!, index)
    try socket.keepResolved(address, interfaceIndex: index)
    let neighbour = try await eventually {
      let neighbour = try socket.neighbour(address, interfaceIndex: index)
      // A managed entry that failed is asked for again, and is incomplete most of the time.
      return neighbour?.state == .failed || neighbour?.state == .incomplete ? neighbour : nil
    }
    #expect(neighbour != nil && neighbour?.usableHardwareAddress == nil)
  }

  @Test func theAdministratorsEntriesAreLeftAlone() throws {
    let address = Wire.far[0]
    try wire.near.run(
      "ip", "neighbour", "add", "\(address)", "lladdr", "02:00:00:00:00:55", "dev", "slnl0", "nud",
      "permanent")
    var socket = try wire.nearSocket()
    #expect(try socket.keepResolved(address, interfaceIndex: index) == .notNeeded)
    try socket.stopKeepingResolved(address, interfaceIndex: index)
    let neighbour = try socket.neighbour(address, interfaceIndex: index)
    #expect(
      neighbour?.state == .permanent && neighbour?.hardwareAddress == HardwareAddress("02:00:00:00:00:55"))
  }

  @Test func aLinkThatLosesItsCarrierForgetsKeptNeighbours() async throws {
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    var socket = try wire.nearSocket()
    try socket.keepResolved(Wire.far[0], interfaceIndex: index)
    try wire.far.run("ip", "link", "set", "slnl1", "down")
    var isRemoved = false
    for await case .neighbour(let neighbour, removed: true) in monitor.events
    where neighbour.address == Wire.far[0] {
      isRemoved = true
      break
    }
    #expect(isRemoved)
    #expect(try socket.neighbour(Wire.far[0], interfaceIndex: index) == nil)
  }

  @Test func anAbsentInterfaceIsAnError() throws {
    var socket = try wire.nearSocket()
    for index: UInt32 in [0, 4711, .max] {
      #expect(failure { _ = try socket.neighbour(Wire.far[0], interfaceIndex: index) }?.errno == ENODEV)
      #expect(failure { try socket.keepResolved(Wire.far[0], interfaceIndex: index) }?.errno == ENODEV)
    }
  }
}
