// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// What becomes of flows whose backend is released, until and after another backend has its number.
@Suite("Released backends", .serialized)
struct ReleaseTests {
  private static let ports: ClosedRange<UInt16> = 20_001...20_030

  /// A service with two backends, of which b1 has left the configuration.
  private final class World {
    let world: ChangeWorld
    let key: VirtualService.Key
    private var desired: DesiredState
    private(set) var ofB1: [UInt16] = []
    let b1: BackendNumber

    init(_ name: String, _ family: AddressFamily, onGone: Affinity.OnGone) throws {
      world = try ChangeWorld(name)
      key = VirtualService.Key(address: family.vip, transport: .tcp, port: 80)
      var service = ChangeWorld.service(key, 1)
      service.affinity.onGone = onGone
      desired = DesiredState(services: [service], pools: [ChangeWorld.pool(1, 1...2)])
      try world.follow(desired)
      b1 = try #require(world.installed.backend(named: "b1", in: "p1")).number
      for port in ports where try owner(of: port, .syn) == 1 { ofB1.append(port) }
      #expect((5...25).contains(ofB1.count), "within the limit of answers")

      desired.pools[0].backends.removeFirst()
      try world.follow(desired)
      for port in ofB1 { #expect(try owner(of: port) == 1, "it leaves, and keeps its flows") }
    }

    /// The last octet of the backend that a packet goes to; nil: none.
    func owner(of port: UInt16, _ flags: TCPFlags = .ack) throws -> UInt8? {
      try world.send(to: key, from: port, flags: flags)?.1
    }

    func release() throws { try world.follow(desired, expired: [b1]) }

    /// Adds a backend, which gets b1's number.
    func reuse() throws {
      desired.pools[0].backends += ChangeWorld.pool(1, 3...3).backends
      try world.follow(desired)
      #expect(world.installed.backends[b1]?.name == "b3")
    }

    func sweep() throws -> FlowCensus { try world.forwarder.census(of: world.installed) }

    /// How many flows of b1 are answered by a RST.
    func resets() throws -> Int {
      let before = try count()
      for port in ofB1 { _ = try world.send(to: key, from: port) }
      return try count() - before
    }

    private func count() throws -> Int {
      let counts = try world.forwarder.reader.verdicts()
      return Int(counts.first { $0.name == "answered_reset" }!.count.packets)
    }
  }

  @Test("`on_gone: reset` answers its flows by a RST", arguments: AddressFamily.allCases)
  func reset(_ family: AddressFamily) throws {
    let world = try World("reset\(family)", family, onGone: .reset)
    try world.release()
    #expect(try world.resets() == world.ofB1.count)
    var census = try world.sweep()
    #expect(census.entries == world.ofB1.count && census.live.isEmpty && census.unconfirmed.isEmpty)
    #expect(try world.resets() == world.ofB1.count, "after the sweep")

    try world.reuse()
    #expect(try world.resets() == world.ofB1.count, "the number has another owner")
    census = try world.sweep()
    #expect(census.live[world.b1] == nil && census.unconfirmed[world.b1] == nil, "they are not the owner's")
    let foreign = try #require(census.foreign["p1"])
    #expect(!foreign.isEmpty, "their slots do not become stable")
    #expect(try world.resets() == world.ofB1.count)

    for port in world.ofB1 { #expect([2, 3].contains(try world.owner(of: port, .syn)), "a new connection") }
    #expect(try world.resets() == 0)
  }

  @Test("`on_gone: rehash` forgets its flows", arguments: AddressFamily.allCases)
  func rehash(_ family: AddressFamily) throws {
    let world = try World("rehash\(family)", family, onGone: .rehash)
    try world.release()
    let census = try world.sweep()
    #expect(census.entries == 0 && census.foreign.isEmpty)
    try world.reuse()
    #expect(try world.resets() == 0)
    for port in world.ofB1 { #expect([2, 3].contains(try world.owner(of: port))) }
  }
}
