// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import Synchronization
import TestSupport
import Testing

@testable import Dataplane

/// Between any two stores of a change of a next hop, a packet has one of the two outer sources, whole, and a right
/// checksum.
@Suite("Packets while next hops change", .serialized)
struct NextHopStreamTests {
  private static func world(_ backend: IPAddress) throws -> ChangeWorld {
    let world = try ChangeWorld("hops\(backend.family.rawValue)")
    let pool = Pool(name: "p", backends: [Backend(name: "b", address: backend)], tableSize: ChangeWorld.size)
    let key = VirtualService.Key(address: AddressFamily.v4.vip, transport: .tcp, port: 80)
    try world.follow(
      DesiredState(services: [VirtualService(key: key, name: "s", pool: "p")], pools: [pool]),
      knowsNextHops: false)
    return world
  }

  /// What is wrong with a packet, in words; nil: nothing.
  private static func flaw(_ world: ChangeWorld, _ hops: [NextHopState], mayDrop: Bool = false) -> String? {
    let packet = Packet.ethernet().ip(from: AddressFamily.v4.client, to: AddressFamily.v4.vip)
      .tcp(from: 1234, to: 80)
    guard let result = try? world.forwarder.program.testRun(input: packet.bytes) else { return "no run" }
    guard result.returnValue == Action.transmit else { return mayDrop ? nil : "dropped" }
    let isV6 = result.output[12] == 0x86
    let outer = result.output.dropFirst(14).prefix(isV6 ? 40 : 20)
    if !isV6, internetChecksum(Array(outer)) != 0 { return "checksum of \(Array(outer))" }
    let source = Array(outer.dropFirst(isV6 ? 8 : 12).prefix(isV6 ? 16 : 4))
    if !hops.contains(where: { $0.sourceAddress?.octets == source }) { return "source \(source)" }
    let mac = HardwareAddress(octets: result.output.prefix(6))
    return hops.contains { $0.mac == mac } ? nil : "next hop \(mac?.description ?? "cut")"
  }

  @Test("one store each", arguments: AddressFamily.allCases)
  func stream(_ family: AddressFamily) throws {
    let backend = family == .v4 ? IPAddress.v4(10, 0, 0, 1) : try #require(IPAddress("fd00::1"))
    let world = try Self.world(backend)
    let number = try #require(world.installed.backends.keys.first)
    var random = SplitMix64(seed: 7)
    func hop() -> NextHopState {
      let last = UInt8.random(in: 1...250, using: &random)
      let source =
        family == .v4
        ? IPAddress.v4(last, 251 - last, last &* 7, last)
        : IPAddress(family: .v6, bits: UInt128(0x2001_0db8) << 96 | UInt128(last) << 64 | UInt128(251 - last))
      return NextHopState(
        mac: HardwareAddress(octets: [2, last, 0, 0, 0, 251 - last]),
        mtu: Int.random(in: 1500...1600, using: &random),
        sourceAddress: source)
    }
    var now = hop()
    // Nothing was known of the backend before: packets are dropped until all is there.
    let first = now
    let early = Mutex<[String]>([])
    let checkFirst: @Sendable (FaultPoint) -> Void = { [unowned world] point in
      if let flaw = Self.flaw(world, [first], mayDrop: true) {
        early.withLock { $0.append("\(point): \(flaw)") }
      }
    }
    FaultPoint.$observer.withValue(checkFirst) { world.forwarder.setNextHop(first, of: number) }
    #expect(early.withLock { $0 } == [])
    let points = Mutex<[FaultPoint: Int]>([:])
    for _ in 0..<2000 {
      let next = hop()
      let flaws = Mutex<[String]>([])
      let hops = [now, next]
      let check: @Sendable (FaultPoint) -> Void = { [unowned world] point in
        points.withLock { $0[point, default: 0] += 1 }
        if let flaw = Self.flaw(world, hops) { flaws.withLock { $0.append("\(point): \(flaw)") } }
      }
      FaultPoint.$observer.withValue(check) { world.forwarder.setNextHop(next, of: number) }
      #expect(flaws.withLock { $0 } == [])
      try #require(Self.flaw(world, [next]) == nil)
      now = next
    }
    let passed = points.withLock { $0 }
    #expect(passed[.afterPath] ?? 0 > 1000 && passed[.afterNextHop] ?? 0 > 1000)
  }
}
