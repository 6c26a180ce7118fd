// SPDX-License-Identifier: Apache-2.0
import Dataplane
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// Where no outer source is configured, it is the interface's address, whatever that is at the time.
@Suite("The interface's address as outer source", .serialized)
struct OuterSourceTests {
  private static let pins = "/sys/fs/bpf/sluice-test-\(getpid())-source"
  private static let mac: HardwareAddress = "02:00:00:00:01:01"

  private static func forwarder(to backend: IPAddress) throws -> Forwarder {
    let limits = NodeSettings.Limits(
      services: 8, pools: 2, backends: 8, slots: 4 * 251, flows: 1024, pairs: 64)
    let forwarder = try Forwarder(
      NodeSettings(interface: .init(name: "none"), limits: limits, hashSeed: "source", pinDirectory: pins),
      isFullSpeed: true)
    forwarder.setInterfaceAddress(.balancer)
    let desired = DesiredState(
      services: [
        VirtualService(
          key: .init(address: AddressFamily.v4.vip, transport: .tcp, port: 80), name: "www", pool: "web")
      ],
      pools: [Pool(name: "web", backends: [Backend(name: "b1", address: backend)], tableSize: 251)])
    let plan = try Planner.plan(
      from: InstalledState(), to: desired, limits: limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength)
    // The neighbour has answered, and the interface has no address yet.
    try forwarder.apply(plan, nextHops: [backend: NextHopState(mac: mac, mtu: 1600)])
    return forwarder
  }

  /// The outer header of a packet; nil where it was dropped.
  private static func outerHeader(_ forwarder: Forwarder) throws -> ArraySlice<UInt8>? {
    let packet = Packet.ethernet().ip(from: AddressFamily.v4.client, to: AddressFamily.v4.vip)
      .tcp(from: 1234, to: 80, flags: .syn)
    let result = try forwarder.program.testRun(input: packet.bytes)
    return result.returnValue == Action.transmit ? result.output.dropFirst(14) : nil
  }

  private static func sum(_ header: some Sequence<UInt8>) -> UInt32 {
    var sum: UInt32 = 0
    for (index, octet) in header.enumerated() { sum += UInt32(octet) << (index % 2 == 0 ? 8 : 0) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return sum
  }

  @Test("nothing is sent before the interface has one, and a change is followed")
  func ipv4() throws {
    defer { rmdir(Self.pins) }
    let forwarder = try Self.forwarder(to: .v4(10, 0, 0, 1))
    #expect(try Self.outerHeader(forwarder) == nil)
    let number = try #require(try forwarder.readInstalled().backends.keys.first)
    for last in [7, 200] as [UInt8] {
      forwarder.setNextHop(
        NextHopState(mac: Self.mac, mtu: 1600, sourceAddress: .v4(10, 9, 8, last)), of: number)
      let header = try #require(try Self.outerHeader(forwarder)).prefix(20)
      #expect(header.dropFirst(12).prefix(4).elementsEqual([10, 9, 8, last]))
      #expect(Self.sum(header) == 0xffff, "the outer header's checksum")
    }
    // An interface without address keeps the last one: the way back may be through another one.
    forwarder.setNextHop(NextHopState(mac: Self.mac, mtu: 1600), of: number)
    #expect(try Self.outerHeader(forwarder) != nil)
  }

  @Test("the same in IPv6")
  func ipv6() throws {
    defer { rmdir(Self.pins) }
    let forwarder = try Self.forwarder(to: try #require(IPAddress("fd00::1")))
    #expect(try Self.outerHeader(forwarder) == nil)
    let number = try #require(try forwarder.readInstalled().backends.keys.first)
    for text in ["2001:db8:1::7", "2001:db8:2::8"] {
      let source = try #require(IPAddress(text))
      forwarder.setNextHop(NextHopState(mac: Self.mac, mtu: 1600, sourceAddress: source), of: number)
      let header = try #require(try Self.outerHeader(forwarder))
      #expect(header.dropFirst(8).prefix(16).elementsEqual(source.octets))
    }
  }
}
