// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite(.timeLimit(.minutes(10))) struct NeighbourTests {
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

  private func neighbour(_ address: IPAddress, _ socket: inout NetlinkSocket) throws -> Neighbour? {
    try socket.neighbours(interfaceIndex: index).first { $0.address == address }
  }

  private func solicit(_ address: IPAddress) throws {
    try wire.near.inside { try Neighbour.solicit(address, interfaceIndex: index) }
  }

  @Test(arguments: Wire.far)
  func solicitedNeighboursAreResolved(_ address: IPAddress) async throws {
    var socket = try wire.nearSocket()
    #expect(try neighbour(address, &socket) == nil)
    try solicit(address)
    let found = try await eventually {
      let neighbour = try neighbour(address, &socket)
      return neighbour?.state == .reachable ? neighbour : nil
    }
    #expect(found?.hardwareAddress == Wire.farMAC && found?.usableHardwareAddress == Wire.farMAC)
    #expect(found?.isUncertain == false)
    #expect(try socket.neighbours(interfaceIndex: 1).isEmpty)
  }

  @Test(arguments: Wire.far)
  func staleNeighboursAreUncertainAndConfirmedOnceSolicited(_ address: IPAddress) async throws {
    try hurry()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    try solicit(address)
    var confirmations = 0
    var last: NeighbourState = []
    for await case .neighbour(let neighbour, false) in monitor.events where neighbour.address == address {
      if neighbour.state == .reachable && last != .reachable { confirmations += 1 }
      last = neighbour.state
      if confirmations == 3 { break }
      if neighbour.isUncertain { try solicit(address) }
    }
    #expect(confirmations == 3)
  }

  @Test(arguments: Wire.far)
  func aNewHardwareAddressIsNoticed(_ address: IPAddress) async throws {
    try hurry()
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    var socket = try wire.nearSocket()
    try solicit(address)
    var isChanged = false
    let other = try #require(HardwareAddress("02:00:00:00:00:99"))
    for await case .neighbour(let neighbour, false) in monitor.events where neighbour.address == address {
      if neighbour.usableHardwareAddress == Wire.farMAC && !isChanged {
        try wire.far.run("ip", "link", "set", "slnl1", "address", "\(other)")
        isChanged = true
      }
      if neighbour.usableHardwareAddress == other { break }
      if neighbour.isUncertain { try solicit(address) }
    }
    #expect(try isChanged && neighbour(address, &socket)?.hardwareAddress == other)
  }

  @Test func silentNeighboursFail() async throws {
    try hurry()
    var socket = try wire.nearSocket()
    let address = IPAddress("10.99.0.77")!
    try solicit(address)
    let failed = try await eventually {
      let neighbour = try neighbour(address, &socket)
      return neighbour?.state == .failed ? neighbour : nil
    }
    #expect(failed?.usableHardwareAddress == nil && failed?.isUncertain == true)
  }

  @Test func theAdministratorsEntriesAreCertainAndLeftAlone() throws {
    let address = Wire.far[0]
    try wire.near.run(
      "ip", "neighbour", "add", "\(address)", "lladdr", "02:00:00:00:00:55", "dev", "slnl0", "nud",
      "permanent")
    var socket = try wire.nearSocket()
    try solicit(address)
    let entry = try neighbour(address, &socket)
    #expect(entry?.state == .permanent && entry?.hardwareAddress == HardwareAddress("02:00:00:00:00:55"))
    #expect(entry?.isUncertain == false)
  }

  @Test func aLinkThatLosesItsCarrierForgetsNeighbours() async throws {
    let monitor = try wire.near.inside { try NetlinkMonitor() }
    defer { monitor.cancel() }
    var socket = try wire.nearSocket()
    try solicit(Wire.far[0])
    try wire.far.run("ip", "link", "set", "slnl1", "down")
    var isRemoved = false
    for await case .neighbour(let neighbour, removed: true) in monitor.events
    where neighbour.address == Wire.far[0] {
      isRemoved = true
      break
    }
    #expect(isRemoved)
    #expect(try neighbour(Wire.far[0], &socket) == nil)
  }

  @Test func anAbsentInterfaceIsAnError() throws {
    for index: UInt32 in [0, 4711, .max] {
      let error = failure {
        try wire.near.inside { try Neighbour.solicit(Wire.far[0], interfaceIndex: index) }
      }
      #expect(error?.errno == ENODEV)
    }
  }
}
