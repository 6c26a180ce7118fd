// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// One daemon after the other on an interface of their own, with what they leave pinned.
private final class Succession {
  let hosts: TwoHosts
  let pins = "/sys/fs/bpf/sluice-test-\(getpid())-succession"
  var limits = NodeSettings.Limits(
    services: 8, pools: 4, backends: 32, slots: 8 * 251, flows: 1024, pairs: 128)

  init() throws { hosts = try TwoHosts() }

  deinit { (try? PinDirectory(pins))?.removeAll() }

  /// What a daemon has loaded that has not taken over anything yet.
  func next() throws -> Forwarder {
    let settings = NodeSettings(
      interface: .init(name: "slleg"), limits: limits, hashSeed: "succession", pinDirectory: pins)
    return try Forwarder(settings, isFullSpeed: true)
  }

  /// Brings what a daemon's maps hold to services of one pool each.
  func install(_ services: [VirtualService], _ pools: [Pool], by forwarder: Forwarder) throws {
    let plan = try Planner.plan(
      from: try forwarder.readInstalled(), to: DesiredState(services: services, pools: pools), limits: limits,
      now: try forwarder.now(), tickLength: forwarder.tickLength)
    try forwarder.apply(plan, nextHops: [:])
  }

  static func pool(_ name: String, _ backends: Int) -> Pool {
    Pool(
      name: name, backends: (1...backends).map { Backend(name: "b\($0)", address: .v4(10, 0, 0, UInt8($0))) },
      tableSize: 251)
  }

  static func service(_ number: UInt8, _ pool: String) -> VirtualService {
    VirtualService(
      key: .init(address: .v4(10, 100, 0, number), transport: .tcp, port: 80), name: "s\(number)", pool: pool)
  }

  func attach(_ forwarder: Forwarder, _ mode: AttachMode, keepsGeneric: Bool = false) throws {
    let index = try hosts.index()
    try hosts.balancer.inside {
      try forwarder.attach(interfaceIndex: index, mode: mode, keepsGeneric: keepsGeneric)
    }
  }

  /// The program on the interface.
  func attached() throws -> XDPAttachment? {
    let index = try hosts.index()
    return try hosts.balancer.inside { try XDPAttachment.current(interfaceIndex: index) }
  }
}

@Suite("Taking over from an earlier daemon", .serialized)
struct TakeOverTests {
  @Test(
    "a mode that is refused leaves the interface a program in the mode that it had, for the next start to find",
    arguments: [UInt32(FORWARDING_ABI_VERSION), 1])
  func refusedMode(version: UInt32) throws {
    let succession = try Succession()
    // Longer frames than native XDP takes on a veth.
    for host in [succession.hosts.balancer, succession.hosts.backend] {
      try host.run("ip", "link", "set", "slleg", "mtu", "9000")
    }
    try succession.attach(try succession.next(), .auto)
    #expect(try succession.attached()?.mode == .generic)

    let versions = try BPFMap<UInt32, layout>.openPinned(path: "\(succession.pins)/maps-1/layout")
    var pinned = try #require(try versions.lookup(0))
    pinned.version = version
    try versions.update(0, to: pinned)
    let refused = try succession.next()
    #expect((refused.origin == .adopted) == (version == UInt32(FORWARDING_ABI_VERSION)))
    let error = #expect(throws: DataplaneError.self) { try succession.attach(refused, .native) }
    guard case .kernel(let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(reason.errno == ERANGE)
    #expect(try succession.attached()?.mode == .generic)
    #expect(try succession.attached()?.programID == refused.program.info.id)

    let last = try succession.next()
    #expect(last.origin == .adopted)
    try succession.attach(last, .auto, keepsGeneric: true)
    #expect(last.attachment?.reason.hasPrefix("kept from the running attachment") == true)
    #expect(try succession.attached()?.programID == last.program.info.id)

    // Native mode is tried again, in vain here, and the program is there again.
    let again = try succession.next()
    try succession.attach(again, .auto)
    #expect(again.attachment?.reason.contains("ERANGE") == true, "\(String(describing: again.attachment))")
    #expect(try succession.attached()?.mode == .generic)
    #expect(try succession.attached()?.programID == again.program.info.id)
  }

  @Test("a daemon reads back the encapsulations that another one wrote, and has nothing to change")
  func encapsulations() throws {
    let succession = try Succession()
    succession.limits.pools = 8
    let encapsulations = [
      Encapsulation(kind: .gue), Encapsulation(kind: .gue, variant: .header, port: 7000),
      Encapsulation(kind: .fou, port6: 7001, source6: IPPrefix("fd00:9::/64")), Encapsulation(kind: .gre),
      Encapsulation(kind: .l2),
    ]
    let pools = encapsulations.enumerated().map { index, encapsulation in
      var pool = Succession.pool("p\(index)", 2)
      pool.encapsulation = encapsulation
      pool.backends.append(Backend(name: "six", address: ip("fd00::6")))
      return pool
    }
    let services = pools.indices.map { Succession.service(UInt8($0), "p\($0)") }
    let first = try succession.next()
    try succession.install(services, pools, by: first)
    try succession.attach(first, .auto)

    let second = try succession.next()
    #expect(second.origin == .adopted)
    let installed = try second.readInstalled()
    #expect(installed == (try first.readInstalled()))
    let plan = try Planner.plan(
      from: installed, to: DesiredState(services: services, pools: pools), limits: succession.limits,
      now: try second.now(), tickLength: second.tickLength)
    #expect(plan.isEmpty)
  }

  @Test("what was carried over beside a dead link is what the next start takes over")
  func deadLink() throws {
    let succession = try Succession()
    let first = try succession.next()
    try succession.install([Succession.service(1, "web")], [Succession.pool("web", 3)], by: first)
    let installed = try first.readInstalled()
    try succession.attach(first, .generic)
    try succession.hosts.balancer.run("ip", "link", "delete", "slleg")

    succession.limits.flows *= 2
    let carrying = try succession.next()
    #expect(carrying.origin == .carriedOver(reason: "limits changed the sizes of flows"))
    // Its end comes before it attaches.
    #expect(try carrying.takeOver().count == 1)
    let next = try succession.next()
    #expect(next.origin == .adopted)
    #expect(try next.takeOver() == [])
    #expect(try next.readInstalled() == installed)
    try succession.hosts.makeLeg()
    try succession.attach(next, .generic)
    #expect(try succession.attached()?.programID == next.program.info.id)
    #expect(try succession.next().origin == .adopted)
  }

  @Test("a program that takes over knows its VIPs before the first plan")
  func possibleVIPs() throws {
    let succession = try Succession()
    let first = try succession.next()
    try succession.install([Succession.service(1, "web")], [Succession.pool("web", 3)], by: first)
    try succession.attach(first, .generic)

    let adopting = try succession.next()
    #expect(try adopting.takeOver() == [])
    try succession.attach(adopting, .generic)
    #expect(try Self.answersUnserved(adopting))

    succession.limits.flows *= 2
    let carrying = try succession.next()
    #expect(try carrying.takeOver().count == 1)
    #expect(try succession.attached()?.programID == carrying.program.info.id)
    #expect(try Self.answersUnserved(carrying))
  }

  /// Whether a packet to a port of a VIP that no service has is known to be for a VIP.
  private static func answersUnserved(_ forwarder: Forwarder) throws -> Bool {
    func answered() throws -> UInt64 {
      try forwarder.reader.verdicts().first { $0.name == "answered_unserved" }?.count.packets ?? 0
    }
    forwarder.setInterfaceAddress(.balancer)
    let before = try answered()
    let packet = Packet.ethernet().ip(from: AddressFamily.v4.client, to: .v4(10, 100, 0, 1))
      .udp(from: 7, to: 9).payload(4)
    _ = try forwarder.program.testRun(input: packet.bytes)
    return try answered() == before + 1
  }

  @Test("a flow that was heard after a census began was heard just now")
  func laterThanCensus() throws {
    let succession = try Succession()
    let forwarder = try succession.next()
    try succession.install([Succession.service(1, "web")], [Succession.pool("web", 1)], by: forwarder)
    let installed = try forwarder.readInstalled()
    let number = try #require(installed.backend(named: "b1", in: "web")).number
    let later = UInt64(try forwarder.now().value) + 3
    try forwarder.maps.lastUnknown.update(number, to: LAST_UNKNOWN_SEEN | later)
    #expect(try forwarder.census(of: installed).lastUnknown[number] == 0)
  }

  @Test("counters of services that were removed do not keep a limit from being lowered")
  func removedServices() throws {
    let succession = try Succession()
    let (s1, s2) = (Succession.service(1, "web"), Succession.service(2, "other"))
    let other = Succession.pool("other", 1)
    let first = try succession.next()
    try succession.install([s1, s2], [Succession.pool("web", 2), other], by: first)
    // More backends than its counters are for: it gets a run behind that of the second one.
    try succession.install([s1, s2], [Succession.pool("web", 17), other], by: first)
    #expect(try first.readInstalled().services[s1.key]?.pairs == 32..<64)
    try succession.install([s2], [Succession.pool("web", 17), other], by: first)
    #expect(try first.readInstalled().services[s2.key]?.pairs == 16..<32)
    try succession.attach(first, .generic)

    succession.limits.pairs = 31
    let error = #expect(throws: DataplaneError.self) { try succession.next().takeOver() }
    #expect(error?.description.contains("limits.pairs is 31, but 32 are in use") == true)
    succession.limits.pairs = 32
    let next = try succession.next()
    #expect(try next.takeOver().count == 1)
    #expect(try next.readInstalled() == first.readInstalled())
  }

  @Test(
    "a pin that is missing of a map with nothing to be taken over is made again",
    arguments: ForwarderMaps.ofProgramOnly.sorted())
  func missingPin(map: String) throws {
    let succession = try Succession()
    let first = try succession.next()
    try succession.install([Succession.service(1, "web")], [Succession.pool("web", 3)], by: first)
    try succession.attach(first, .generic)
    try #require(unlink("\(succession.pins)/maps-1/\(map)") == 0)

    let next = try succession.next()
    #expect(next.origin == .adopted)
    #expect(try next.readInstalled() == first.readInstalled())
    try succession.attach(next, .generic)
    #expect(try next.restorePins())
    #expect(try !next.restorePins())
    #expect(try succession.next().origin == .adopted)
  }
}
