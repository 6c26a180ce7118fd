// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// Keys that differ in one part only and share a bucket: a packet finds the service of its own key or none, on both
/// paths.
///
/// A TCP and a UDP service of one address and port never share a bucket: the index of the bucket tells them apart.
@Suite("Keys of a bucket", .serialized)
struct BucketKeyTests {
  /// Two keys, and what tells them apart.
  struct Pair: Sendable, CustomTestStringConvertible {
    let part: String
    let first: VirtualService.Key
    let second: VirtualService.Key
    var testDescription: String { "\(first.address.family): \(part)" }
  }

  /// Keys that share a bucket. The first keys have ports of their own, so that no bucket is full.
  static let sharing = AddressFamily.allCases.flatMap { (family: AddressFamily) -> [Pair] in
    let vip = family.vip
    func first(_ port: UInt16) -> VirtualService.Key {
      VirtualService.Key(address: vip, transport: .tcp, port: port)
    }
    func pair(
      _ part: String, _ first: VirtualService.Key, _ candidates: some Sequence<VirtualService.Key>
    ) -> Pair {
      let second = candidates.first {
        $0 != first && $0.bucket == first.bucket && $0.address.octets[0] < 224
      }
      return Pair(part: part, first: first, second: second!)
    }
    func ports(_ transport: TransportProtocol) -> some Sequence<VirtualService.Key> {
      (1...UInt16.max).lazy.map { VirtualService.Key(address: vip, transport: transport, port: $0) }
    }
    /// Addresses that differ from the VIP in 16 bits.
    func addresses(_ shift: UInt128, _ port: UInt16) -> some Sequence<VirtualService.Key> {
      (1...0xffff as ClosedRange<UInt128>).lazy.map {
        VirtualService.Key(
          address: IPAddress(family: family, bits: vip.bits ^ $0 << shift), transport: .tcp, port: port)
      }
    }
    return [
      pair("port", first(1), ports(.tcp)), pair("protocol and port", first(2), ports(.udp)),
      pair("first half of the address", first(3), addresses(family == .v4 ? 16 : 64, 3)),
      pair("second half of the address", first(4), addresses(0, 4)),
    ]
  }

  static let protocols = AddressFamily.allCases.flatMap { (family: AddressFamily) -> [Pair] in
    let keys = [TransportProtocol.tcp, .udp].map { transport in
      ([6, 7] as [UInt16]).map { VirtualService.Key(address: family.vip, transport: transport, port: $0) }
    }
    return [
      Pair(part: "TCP, not UDP", first: keys[0][0], second: keys[1][0]),
      Pair(part: "UDP, not TCP", first: keys[1][1], second: keys[0][1]),
    ]
  }

  /// Services of both keys of each pair, or of the first alone; on the fast path, or the general one.
  private struct Worlds {
    let both: [ForwarderFixture]
    let firstAlone: [ForwarderFixture]

    init(_ pairs: [Pair]) throws {
      func forwarders(_ scenario: Scenario) throws -> [ForwarderFixture] {
        try [makeForwarder(scenario), makeForwarder(scenario, generalOnly: true)]
      }
      both = try forwarders(BucketKeyTests.scenario(pairs.flatMap { [$0.first, $0.second] }, pools: [1, 2]))
      firstAlone = try forwarders(BucketKeyTests.scenario(pairs.map(\.first), pools: [1]))
    }
  }

  private static let worlds = Result { try Worlds(sharing + protocols) }

  /// A service for each key, by turns of these pools. A pool and its backend have the same number.
  private static func scenario(_ keys: [VirtualService.Key], pools: [UInt32]) -> Scenario {
    var scenario = Scenario()
    scenario.backends = [
      TestBackend(1, ip("10.0.0.1"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:01"),
      TestBackend(2, ip("10.0.0.2"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:02"),
    ]
    scenario.pools = [TestPool(1, 1), TestPool(2, 2)]
    for (index, key) in keys.enumerated() {
      scenario.services.append(
        TestService(
          UInt32(index + 1), key.address, key.port, key.transport == .tcp ? .tcp : .udp,
          pool: pools[index % pools.count]))
    }
    return scenario
  }

  /// The backend that a packet to a key goes to; nil: it is not forwarded.
  private func target(_ forwarder: ForwarderFixture, _ key: VirtualService.Key) throws -> UInt8? {
    let headers = Packet.ethernet().ip(from: key.address.family.client, to: key.address)
    let packet =
      key.transport == .tcp ? headers.tcp(from: 40000, to: key.port) : headers.udp(from: 40000, to: key.port)
    let run = try forwarder.run(packet.bytes)
    return run.counts[.VERDICT_FORWARDED].packets == 1 ? run.output[5] : nil
  }

  @Test("a packet finds the service of its own key", arguments: sharing + protocols)
  func own(_ pair: Pair) throws {
    for forwarder in try Self.worlds.get().both {
      #expect(try target(forwarder, pair.first) == 1)
      #expect(try target(forwarder, pair.second) == 2)
    }
  }

  @Test("a packet finds no service of another key", arguments: sharing + protocols)
  func none(_ pair: Pair) throws {
    for forwarder in try Self.worlds.get().firstAlone {
      #expect(try target(forwarder, pair.first) == 1)
      #expect(try target(forwarder, pair.second) == nil)
    }
  }

  @Test("the buckets are those that the tests are about")
  func buckets() {
    #expect(Self.sharing.allSatisfy { $0.first.bucket == $0.second.bucket })
    #expect(Self.protocols.allSatisfy { $0.first.bucket != $0.second.bucket })
    let pairs = Self.sharing + Self.protocols
    for family in AddressFamily.allCases {
      let first = pairs.map(\.first).filter { $0.address.family == family }.map(\.bucket)
      #expect(Set(first).count == first.count)
    }
  }
}
