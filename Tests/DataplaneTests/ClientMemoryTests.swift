// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

private let previous: UInt32 = 11
private let current: UInt32 = 12
/// Of another pool.
private let foreign: UInt32 = 13

private let controlPort: UInt16 = 21
private let dataPort: UInt16 = 20000
private let udpIdle: UInt32 = 30
private let tcpIdle: UInt32 = 1000
private let learn: UInt32 = 100

/// One slot for all clients of a pool that remembers them, with two TCP services and a UDP one.
private func scenario() -> Scenario {
  var scenario = Scenario()
  scenario.backends = [
    TestBackend(
      previous, ip("10.0.0.11"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0b", generation: 7),
    TestBackend(
      current, ip("10.0.0.12"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0c", generation: 8),
    TestBackend(
      foreign, ip("10.0.0.13"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0d", generation: 9),
  ]
  scenario.pools = [TestPool(3, current, hash: .HASH_SOURCE)]
  for (number, family) in [(1 as UInt32, AddressFamily.v4), (11, .v6)] {
    for (offset, port, transport) in [
      (0, controlPort, IPProtocol.tcp), (1, dataPort, .tcp), (2, dataPort, .udp),
    ] {
      scenario.services.append(
        TestService(
          number + UInt32(offset), family.vip, port, transport, pool: 3, learn: learn, udpIdle: udpIdle,
          tcpIdle: tcpIdle))
    }
  }
  return scenario
}

/// `hash: source`: the flow table remembers clients, so that their sessions stay together.
@Suite("Memory of clients", .serialized)
struct ClientMemoryTests {
  private static let shared = Result { try makeForwarder(scenario()) }
  private let forwarder: ForwarderFixture

  init() throws {
    forwarder = try Self.shared.get()
    try forwarder.forgetFlows()
    for backend in forwarder.scenario.backends {
      forwarder.backends[Int(backend.number)] = backend.abi
      forwarder.backends[Int(backend.number)].pool = backend.number == foreign ? 4 : 3
    }
    slot()
  }

  private func slot(_ state: slot_state = .SLOT_CHANGED, was before: UInt32 = previous, age: UInt32 = 1) {
    forwarder.setSlots(of: 3, to: [slot_word(current, before, state, 0 &- age)])
  }

  private func send(_ packet: Packet) throws -> UInt32? {
    let run = try forwarder.run(packet.bytes)
    guard run.action == Action.transmit else { return nil }
    let nextHop = Array(run.output[..<6])
    return forwarder.scenario.backends.first { $0.nextHop?.octets == nextHop }?.number
  }

  private func control(_ family: AddressFamily, _ flags: TCPFlags = .ack, from port: UInt16 = 1) throws
    -> UInt32?
  {
    try send(
      .ethernet().ip(from: family.client, to: family.vip).tcp(from: port, to: controlPort, flags: flags))
  }

  private func data(_ family: AddressFamily, _ flags: TCPFlags = .ack, from port: UInt16 = 2) throws
    -> UInt32?
  {
    try send(.ethernet().ip(from: family.client, to: family.vip).tcp(from: port, to: dataPort, flags: flags))
  }

  private func media(_ family: AddressFamily, from port: UInt16 = 3) throws -> UInt32? {
    try send(.ethernet().ip(from: family.client, to: family.vip).udp(from: port, to: dataPort))
  }

  private func client(_ family: AddressFamily) throws -> UInt32? {
    let flow = Flow(from: family.client, 1, to: family.vip, controlPort)
    return try forwarder.flows.lookup(flow.clientKey(pool: 3))?.backend
  }

  @Test(
    "new flows of a client go with those that it has, to any service of the pool",
    arguments: AddressFamily.allCases)
  func together(_ family: AddressFamily) throws {
    #expect(try control(family, [.ack, .psh]) == previous)
    #expect(try client(family) == previous)
    #expect(try data(family, .syn) == previous)
    #expect(try data(family) == previous)
    slot(age: udpIdle + 1)
    #expect(try media(family) == previous)
    slot(.SLOT_SETTLING, age: 1)
    #expect(try data(family, .syn, from: 9) == previous)
    #expect(try data(family, from: 9) == previous, "written, though the slot settles")
  }

  @Test("a client of which nothing is known begins on current", arguments: AddressFamily.allCases)
  func fresh(_ family: AddressFamily) throws {
    #expect(try control(family, .syn) == current)
    #expect(try client(family) == nil, "a SYN alone is no flow")
    #expect(try control(family) == current)
    #expect(try client(family) == current)
    #expect(try data(family, .syn) == current)
  }

  @Test(
    "flows that are older than the change do not move for their client's sake",
    arguments: AddressFamily.allCases)
  func older(_ family: AddressFamily) throws {
    #expect(try control(family, .syn) == current)
    #expect(try control(family) == current)
    #expect(try data(family) == previous, "unknown")
    #expect(try media(family) == previous, "unknown")
    #expect(try control(family) == current, "known")
  }

  @Test(
    "what closes, a RST, an ICMP error and odd flags do not make a client known",
    arguments: AddressFamily.allCases)
  func closing(_ family: AddressFamily) throws {
    for flags in [[.fin, .ack], .rst, [.rst, .ack], .fin, [.syn, .ack]] as [TCPFlags] {
      try forwarder.forgetFlows()
      #expect(try control(family, flags) == previous)
      #expect(try control(family, flags) == previous)
      #expect(try client(family) == nil, "\(flags)")
    }
  }

  @Test("a client is not sent to a backend that is gone, recycled or past its time")
  func gone() throws {
    #expect(try control(.v4) == previous)
    var backend = forwarder.scenario.backend(previous)
    backend.isUsable = false
    forwarder.backends[Int(previous)].next_hop = backend.abi.next_hop
    #expect(try data(.v4, .syn) == current)

    forwarder.backends[Int(previous)] = forwarder.scenario.backend(previous).abi
    forwarder.backends[Int(previous)].pool = 3
    forwarder.backends[Int(previous)].generation = 70
    #expect(try data(.v4, .syn, from: 4) == current, "another generation")

    forwarder.backends[Int(previous)].generation = 7
    #expect(try data(.v4, .syn, from: 5) == previous)
    let key = Flow(from: AddressFamily.v4.client, 1, to: AddressFamily.v4.vip, 1).clientKey(pool: 3)
    try forwarder.flows.update(
      key, to: flow(backend: previous, generation: 7, last_seen: 0 &- (tcpIdle + 1), flags: 0))
    #expect(try data(.v4, .syn, from: 6) == current)
  }

  @Test("a flow that a moved service brought along from another pool binds no client")
  func moved() throws {
    slot(was: foreign)
    #expect(try control(.v4) == foreign)
    #expect(try client(.v4) == nil)
    #expect(try data(.v4, .syn) == current)
  }

  @Test("a client takes room and budget")
  func budget() throws {
    var narrow = scenario()
    narrow.learnedPerTick = 2
    let narrowed = try makeForwarder(narrow)
    narrowed.backends[Int(previous)].pool = 3
    narrowed.setSlots(of: 3, to: [slot_word(current, previous, .SLOT_CHANGED, 0 &- 1)])
    let run = try narrowed.run(
      Packet.ethernet().ip(from: AddressFamily.v4.client, to: AddressFamily.v4.vip)
        .tcp(from: 1, to: controlPort, flags: .ack).bytes)
    #expect(run.counts[.FLOW_LEARNED] == 1 && run.counts[.FLOW_OVER_BUDGET] == 1)
    #expect(try narrowed.flows.entries().count == 1)
  }
}
