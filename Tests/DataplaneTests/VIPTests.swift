// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Dataplane
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// A forwarder as the daemon holds it: it must know its VIPs whichever they are, as they come and go.
@Suite("VIPs as sources and destinations", .serialized)
struct VIPTests {
  private static let port: UInt16 = 80
  private static let limits = NodeSettings.Limits(
    services: 64, pools: 2, backends: 8, slots: 4 * 251, flows: 1024, pairs: 1024)

  private final class World {
    let forwarder: Forwarder
    private let pins = "/sys/fs/bpf/sluice-test-\(getpid())-vips"
    private var installed = InstalledState()
    private let backend = IPAddress.v4(10, 0, 0, 1)
    private var counted: [VerdictCount] = []

    init() throws {
      guard geteuid() == 0 else { throw RootNeeded() }
      forwarder = try Forwarder(
        NodeSettings(interface: .init(name: "none"), limits: limits, hashSeed: "vips", pinDirectory: pins),
        isFullSpeed: true, code: ForwarderFixture.code())
      forwarder.setInterfaceAddress(.balancer)
      counted = try forwarder.reader.verdicts()
    }

    deinit { rmdir(pins) }

    func serve(_ vips: Set<IPAddress>) throws {
      let desired = DesiredState(
        services: vips.sorted().map {
          VirtualService(key: .init(address: $0, transport: .udp, port: port), name: "s", pool: "web")
        },
        pools: [Pool(name: "web", backends: [Backend(name: "b1", address: backend)], tableSize: 251)])
      let plan = try Planner.plan(
        from: installed, to: desired, limits: limits, now: try forwarder.now(),
        tickLength: forwarder.tickLength)
      let way = NextHopState(mac: "02:00:00:00:01:01", mtu: 1600, sourceAddress: .v4(10, 9, 9, 9))
      try forwarder.apply(plan, nextHops: [backend: way])
      installed = plan.result
    }

    /// The verdict on a datagram.
    func send(from source: IPAddress, to destination: IPAddress, port: UInt16 = port) throws -> String {
      let packet = Packet.ethernet().ip(from: source, to: destination).udp(from: 7, to: port).payload(4)
      _ = try forwarder.program.testRun(input: packet.bytes)
      let before = counted
      counted = try forwarder.reader.verdicts()
      let risen = zip(before, counted).filter { $0.count != $1.count }.map(\.1.name)
      #expect(risen.count == 1)
      return risen.first ?? ""
    }
  }

  /// Any address of a family; some are near others, some far.
  private static func address(_ random: inout SplitMix64, _ family: AddressFamily) -> IPAddress {
    let near = random.next() % 3 == 0
    let bits = UInt128(random.next()) << 64 | UInt128(random.next())
    return family == .v4
      ? .v4(
        near ? 198 : UInt8(random.next() % 100 + 1), near ? 51 : UInt8(bits & 255), UInt8(bits >> 8 & 255), 7)
      : IPAddress(family: .v6, bits: UInt128(0x2001) << 112 | (near ? bits & 0xffff : bits >> 16))
  }

  @Test(
    "whatever addresses are VIPs, each is known as one, and no other",
    arguments: [1, UInt64.random(in: 2...UInt64.max)])
  func sets(seed: UInt64) throws {
    let world = try World()
    var random = SplitMix64(seed: seed)
    for round in 0..<6 {
      let count = Int(random.next() % 5)
      let vips = Set(
        AddressFamily.allCases.flatMap { family in
          (0..<count).map { _ in Self.address(&random, family) }
        })
      try world.serve(vips)
      for family in AddressFamily.allCases {
        let own = vips.filter { $0.family == family }.sorted()
        for vip in own {
          #expect(try world.send(from: family.client, to: vip) == "forwarded", "seed \(seed), round \(round)")
          // Answered, but for the limit.
          let unserved = try world.send(from: family.client, to: vip, port: 9)
          #expect(["answered_unserved", "dropped_unserved"].contains(unserved), "seed \(seed)")
          for other in own {
            #expect(try world.send(from: other, to: vip) == "dropped_martian_source", "seed \(seed)")
          }
        }
        for _ in 0..<8 {
          let other = Self.address(&random, family)
          guard !vips.contains(other) else { continue }
          #expect(try world.send(from: family.client, to: other) == "passed_not_ours", "seed \(seed)")
          guard let vip = own.first else { continue }
          #expect(try world.send(from: other, to: vip) == "forwarded", "seed \(seed)")
        }
      }
    }
  }

  @Test("the policy follows at once", arguments: AddressFamily.allCases)
  func policy(_ family: AddressFamily) throws {
    let world = try World()
    try world.serve([family.vip, family.anyPortVIP])
    for (unserved, verdict) in [
      (PacketPolicy.Unserved.drop, "dropped_unserved"), (.pass, "passed_unserved"),
      (.reject, "answered_unserved"),
    ] {
      world.forwarder.setPacketPolicy(PacketPolicy(unserved: unserved))
      #expect(try world.send(from: family.client, to: family.vip, port: 9) == verdict)
    }
    world.forwarder.setPacketPolicy(PacketPolicy(vipSources: .accept))
    #expect(try world.send(from: family.anyPortVIP, to: family.vip) == "forwarded")
    #expect(try world.send(from: family.vip, to: family.vip) == "dropped_martian_source")
    world.forwarder.setPacketPolicy(PacketPolicy())
    #expect(try world.send(from: family.anyPortVIP, to: family.vip) == "dropped_martian_source")
  }
}
