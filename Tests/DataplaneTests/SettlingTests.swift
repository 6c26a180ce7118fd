// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Dataplane
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// A forwarder as the daemon holds it, attached to nothing, with a pool `web` and a service that uses it.
private final class World {
  let forwarder: Forwarder
  var installed = InstalledState()
  var desired = DesiredState()
  private let limits = NodeSettings.Limits(
    services: 16, pools: 4, backends: 16, slots: 8 * 251, flows: 400_000, pairs: 256)
  private let pins = "/sys/fs/bpf/sluice-test-\(getpid())-settling"

  init(settle: Int, hash: HashFields = .flow) throws {
    let settings = NodeSettings(
      interface: .init(name: "none"), limits: limits, hashSeed: "settling", pinDirectory: pins)
    forwarder = try Forwarder(settings, isFullSpeed: true)
    forwarder.setInterfaceAddress(.balancer)
    desired.pools = [
      Self.pool("web", first: 1, settle: settle), Self.pool("other", first: 3, settle: settle),
    ]
    for index in desired.pools.indices { desired.pools[index].hash = hash }
    desired.services = AddressFamily.allCases.map { family in
      VirtualService(
        key: VirtualService.Key(address: family.vip, transport: .tcp, port: 80), name: "www", pool: "web",
        affinity: Affinity(learn: settle))
    }
    try follow()
  }

  deinit { rmdir(pins) }

  private static func pool(_ name: String, first: UInt8, settle: Int) -> Pool {
    Pool(
      name: name, backends: [first, first + 1].map { Backend(name: "b\($0)", address: .v4(10, 0, 0, $0)) },
      tableSize: 251, settle: settle)
  }

  func follow(ended: Set<VirtualService.Key> = []) throws {
    let plan = try Planner.plan(
      from: installed, to: desired, limits: limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength, ended: ended)
    let ways = Dictionary(
      uniqueKeysWithValues: (1...4).map { (number: UInt8) in
        (
          IPAddress.v4(10, 0, 0, number),
          NextHopState(
            mac: HardwareAddress(octets: [2, 0, 0, 0, 1, number]), mtu: 1600, sourceAddress: .v4(10, 9, 9, 9))
        )
      })
    try forwarder.apply(plan, nextHops: ways)
    installed = plan.result
    #expect(try forwarder.readInstalled() == installed, "what is read back is what was planned")
  }

  /// Who a packet goes to: the last octet of its backend's address; nil: none.
  func send(
    _ flags: TCPFlags, from port: UInt16, _ family: AddressFamily = .v4, client: IPAddress? = nil
  ) throws -> UInt8? {
    let packet = Packet.ethernet().ip(from: client ?? family.client, to: family.vip)
      .tcp(from: port, to: 80, flags: flags)
    let result = try forwarder.program.testRun(input: packet.bytes)
    return result.returnValue == Action.transmit ? result.output[5] : nil
  }

  /// A round of the daemon's sweep.
  @discardableResult
  func sweep() throws -> FlowCensus {
    let census = try forwarder.census(of: installed)
    let now = try forwarder.now()
    for (name, pool) in installed.pools {
      let settling = installed.settling(of: pool, tickLength: forwarder.tickLength)
      let rewrites = settling.rewrites(of: pool.slots, at: now, foreign: census.foreign[name] ?? [])
      forwarder.rewrite(rewrites, of: pool)
      for (index, slot) in rewrites { installed.pools[name]?.slots[index] = slot }
    }
    #expect(try forwarder.readInstalled() == installed)
    return census
  }

  func slots(_ state: Slot.State) -> Int { installed.pools["web"]!.slots.count { $0.state == state } }
}

@Suite("Census, settling and moves", .serialized)
struct SettlingTests {
  private static let ports = (1...400).map { UInt16(20000 + $0) }

  @Test("slots settle, keep what lives elsewhere, and come to rest", arguments: AddressFamily.allCases)
  func settling(_ family: AddressFamily) throws {
    let world = try World(settle: 2)
    var owners: [UInt16: UInt8] = [:]
    for port in Self.ports { owners[port] = try world.send(.syn, from: port, family) }
    #expect(Set(owners.values) == [1, 2])
    #expect(try world.sweep().entries == 0, "a stable fleet has no entries")

    // b1 out of the table, and back at once: its slots are changed, and flows of both backends meet them.
    world.desired.pools[0].backends[0].weight = 0
    try world.follow()
    #expect(world.slots(.changed) > 100)
    let older = Self.ports.filter { owners[$0] == 1 }
    for port in older { #expect(try world.send(.ack, from: port, family) == 1) }
    let younger = Self.ports.map { $0 + 1000 }
    for port in younger { #expect(try world.send(.syn, from: port, family) == 2) }
    for port in younger { #expect(try world.send(.ack, from: port, family) == 2) }

    let census = try world.sweep()
    let b1 = try #require(world.installed.backend(named: "b1", in: "web")).number
    let b2 = try #require(world.installed.backend(named: "b2", in: "web")).number
    #expect(
      census.live[b1] == nil && census.unconfirmed[b1] == older.count, "one packet proves no connection")
    #expect(census.live[b2] == census.entries - older.count && census.unconfirmed[b2] == nil)
    #expect(census.lastUnknown.isEmpty)
    let foreign = try #require(census.foreign["web"])
    #expect((50...older.count).contains(foreign.count), "\(foreign.count) slots of \(older.count) flows")

    sleep(4)
    try world.sweep()
    #expect(world.slots(.changed) == 0)
    try world.sweep()
    #expect(world.slots(.settling) == foreign.count, "those with flows of another backend")
    for port in older { #expect(try world.send(.ack, from: port, family) == 1, "after `settle`") }
    for port in younger { #expect(try world.send(.ack, from: port, family) == 2) }
    let confirmed = try world.forwarder.census(of: world.installed)
    #expect(confirmed.live[b1] == older.count && confirmed.unconfirmed[b1] == nil)
    #expect((0...1).contains(try #require(confirmed.lastUnknown[b1])))
    #expect(confirmed.lastUnknown[b2] == nil)

    // The flows end: their slots are the last to come to rest.
    for port in older { #expect(try world.send([.rst], from: port, family) == 1) }
    #expect(try world.forwarder.census(of: world.installed).live[b1] == older.count, "renewed a moment ago")
    let entries = try world.sweep().entries
    #expect(entries >= older.count)
  }

  @Test("a client stays while it has a flow, and not longer", arguments: AddressFamily.allCases)
  func clients(_ family: AddressFamily) throws {
    let world = try World(settle: 1000, hash: .source)
    let clients = (1...200).map { ip(family == .v4 ? "198.51.100.\($0)" : "2001:db8:5::\($0)") }
    var owners: [IPAddress: UInt8] = [:]
    for client in clients { owners[client] = try world.send(.syn, from: 1, family, client: client) }
    let older = clients.filter { owners[$0] == 1 }
    #expect((50...150).contains(older.count))
    world.desired.pools[0].backends[0].weight = 0
    try world.follow()

    for client in older {
      #expect(try world.send([.ack, .psh], from: 1, family, client: client) == 1)
      #expect(try world.send(.syn, from: 2, family, client: client) == 1, "with its control connection")
    }
    #expect(try world.sweep().entries == 3 * older.count, "two flows and their client")
    for client in older { #expect(try world.send(.ack, from: 2, family, client: client) == 1) }
    for client in older { #expect(try world.send(.rst, from: 1, family, client: client) == 1) }
    try world.sweep()
    for client in older {
      #expect(try world.send(.syn, from: 3, family, client: client) == 1, "a flow is left")
      #expect(try world.send(.rst, from: 3, family, client: client) == 1)
      #expect(try world.send(.rst, from: 2, family, client: client) == 1)
    }
    sleep(4)
    try world.sweep()
    for client in older {
      #expect(try world.send(.syn, from: 4, family, client: client) == 2, "no flow is left")
    }
  }

  @Test("a client whose new connections come to nothing does not stay by trying again")
  func refusedClient() throws {
    let world = try World(settle: 1000, hash: .source)
    let clients = (1...20).map { ip("198.51.100.\($0)") }
    let older = try clients.filter { try world.send(.syn, from: 1, client: $0) == 1 }
    try #require(!older.isEmpty)
    world.desired.pools[0].backends[0].weight = 0
    try world.follow()
    for client in older {
      #expect(try world.send(.ack, from: 1, client: client) == 1)
      #expect(try world.send(.rst, from: 1, client: client) == 1)
    }
    sleep(4)
    for client in older { #expect(try world.send(.syn, from: 2, client: client) == 1) }
    try world.sweep()
    for client in older { #expect(try world.send(.syn, from: 3, client: client) == 2) }
  }

  @Test("a slot that changes when it has settled takes its current along")
  func changeAfterSettling() throws {
    let world = try World(settle: 2)
    world.desired.pools[0].backends[0].weight = 0
    try world.follow()
    sleep(4)
    // No sweep in between: a daemon was dead. Nothing is written, so the flow is known by its slot alone.
    #expect(try world.send(.syn, from: 1, .v4) == 2)
    #expect(try world.forwarder.census(of: world.installed).entries == 0)
    world.desired.pools[0].backends[0].weight = 100
    world.desired.pools[0].backends[1].weight = 0
    try world.follow()
    #expect(try world.send(.ack, from: 1, .v4) == 2, "it began on b2, which is the last stable owner now")
  }

  @Test("a service that moves keeps its flows", arguments: AddressFamily.allCases)
  func move(_ family: AddressFamily) throws {
    let world = try World(settle: 2)
    var owners: [UInt16: UInt8] = [:]
    for port in Self.ports { owners[port] = try world.send(.syn, from: port, family) }
    let index = world.desired.services.firstIndex { $0.key.address.family == family }!
    world.desired.services[index].pool = "other"
    try world.follow()
    let key = world.desired.services[index].key
    for port in Self.ports { #expect(try world.send(.ack, from: port, family) == owners[port]) }
    for port in Self.ports { #expect([3, 4].contains(try world.send(.syn, from: port + 1000, family))) }
    let service = try #require(world.installed.services[key])
    let before = try #require(service.move)
    let older = try world.forwarder.reader.forwarded(before).reduce(0) { $0 + $1.packets }
    let younger = try world.forwarder.reader.forwarded(service).reduce(0) { $0 + $1.packets }
    #expect(older == 800, "SYN and ACK of 400 flows")
    #expect(younger == 400)

    sleep(4)
    let now = try world.forwarder.now()
    let census = try world.sweep()
    #expect(census.remembering == [key])
    #expect(census.endedMoves(in: world.installed, now: now, tickLength: 1).isEmpty)
    for port in Self.ports { #expect(try world.send(.ack, from: port, family) == owners[port]) }

    // The move has settled, though flows remember it: what begins now is known by its slot alone, also when the new
    // pool changes, and when the service moves again.
    var later: [UInt16: UInt8] = [:]
    for port in Self.ports { later[port] = try world.send(.syn, from: port + 2000, family) }
    #expect(Set(later.values) == [3, 4])
    world.desired.pools[1].backends[0].weight = 0
    try world.follow()
    for port in Self.ports.prefix(200) {
      #expect(try world.send(.ack, from: port + 2000, family) == later[port], "the new pool changed")
    }
    world.desired.services[index].pool = "web"
    try world.follow()
    #expect(world.installed.services[key]?.move?.pool == "other")
    for port in Self.ports.suffix(200) {
      #expect(try world.send(.ack, from: port + 2000, family) == later[port], "the service moved again")
    }
    for port in Self.ports { #expect(try world.send(.ack, from: port, family) == owners[port]) }
    try world.follow(ended: [key])
    #expect(world.installed.services[key]?.move == nil)
    #expect([1, 2].contains(try world.send(.syn, from: 9, family)))
  }
}
