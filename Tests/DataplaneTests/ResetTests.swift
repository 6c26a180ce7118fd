// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

private let previous: UInt32 = 11
private let current: UInt32 = 12
private let port: UInt16 = 80
private let settle: UInt32 = 1000

private func scenario() -> Scenario {
  var scenario = Scenario()
  scenario.backends = [
    TestBackend(previous, ip("10.0.0.11"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0b"),
    TestBackend(current, ip("10.0.0.12"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0c"),
  ]
  var pool = TestPool(1, current)
  pool.settle = UInt64(settle)
  scenario.pools = [pool]
  for (number, family) in [(1 as UInt32, AddressFamily.v4), (11, .v6)] {
    var tcp = TestService(number, family.vip, port, pool: 1)
    var udp = TestService(number + 1, family.vip, port, .udp, pool: 1)
    (tcp.resets, udp.resets) = (true, true)
    scenario.services += [tcp, udp]
  }
  return scenario
}

/// `on_gone: reset`: what clients of a backend that is gone are told.
@Suite("Reset", .serialized)
struct ResetTests {
  private static let shared = Result { try makeForwarder(scenario()) }
  private let forwarder: ForwarderFixture

  init() throws {
    forwarder = try Self.shared.get()
    try forwarder.forgetFlows()
    for backend in forwarder.scenario.backends { forwarder.backends[Int(backend.number)] = backend.abi }
    slot(age: 1)
  }

  private func slot(_ state: slot_state = .SLOT_CHANGED, age: UInt32) {
    forwarder.setSlots(of: 1, to: [slot_word(current, previous, state, 0 &- age)])
  }

  private func take(_ number: UInt32) {
    var backend = forwarder.scenario.backend(number)
    backend.isUsable = false
    forwarder.backends[Int(number)] = backend.abi
  }

  /// A flow of the backend, which then is gone.
  private func takeAfter(_ packet: Packet) throws {
    #expect(try forwarder.run(packet.bytes).counts[.VERDICT_FORWARDED].packets == 1)
    take(previous)
  }

  private func segment(
    _ family: AddressFamily, _ flags: TCPFlags = .ack, from start: Packet = .ethernet()
  ) -> Packet {
    start.ip(from: family.client, to: family.vip).tcp(from: 40000, to: port, flags: flags)
  }

  private func reset(_ family: AddressFamily, from start: Packet = .ethernet(to: .router, from: .balancer))
    -> Packet
  {
    start.answer(from: family.vip, to: family.client)
      .tcp(from: port, to: 40000, flags: .rst, sequence: 0x0a0b_0c0d, acknowledgement: 0, window: 0)
  }

  @Test("the RST has the number that the client expects, by its own word", arguments: AddressFamily.allCases)
  func answer(_ family: AddressFamily) throws {
    try takeAfter(segment(family))
    let entries = try forwarder.flows.entries().map(\.1.last_seen)
    for payload in [0, 1, 1400] {
      let run = try forwarder.run(segment(family).payload(payload).bytes)
      #expect(Array(run.counts.risen.keys) == [.VERDICT_ANSWERED_RESET])
      #expect(run.action == Action.transmit)
      #expect(run.output == reset(family).bytes)
    }
    let padded = try forwarder.run(segment(family).trailing([UInt8](repeating: 0, count: 6)).bytes)
    #expect(padded.output == reset(family).bytes)
    #expect(try forwarder.flows.entries().map(\.1.last_seen) == entries)
  }

  @Test("within VLANs, with TCP options", arguments: AddressFamily.allCases)
  func framing(_ family: AddressFamily) throws {
    try takeAfter(segment(family))
    let frame = Packet.ethernet().vlan(7).ip(from: family.client, to: family.vip)
      .tcp(from: 40000, to: port, flags: [.ack, .psh], options: [1, 1, 1, 1]).payload(9)
    let run = try forwarder.run(frame.bytes)
    #expect(run.output == reset(family, from: .ethernet(to: .router, from: .balancer).vlan(7)).bytes)
  }

  @Test(
    "a known flow is told, too, whatever the slot's age",
    arguments: [1, 2] as [UInt32])
  func known(_ raw: UInt32) throws {
    let state = slot_state(rawValue: raw)!
    #expect(try forwarder.run(segment(.v4).bytes).counts[.VERDICT_FORWARDED].packets == 1)
    slot(state, age: settle + 1)
    take(previous)
    #expect(try forwarder.run(segment(.v4).bytes).counts[.VERDICT_ANSWERED_RESET].packets == 1)
  }

  @Test("a flow is told whose backend's number has another owner", arguments: AddressFamily.allCases)
  func reused(_ family: AddressFamily) throws {
    #expect(try forwarder.run(segment(family).bytes).counts[.VERDICT_FORWARDED].packets == 1)
    forwarder.backends[Int(previous)].generation += 1
    let run = try forwarder.run(segment(family).bytes)
    #expect(Array(run.counts.risen.keys) == [.VERDICT_ANSWERED_RESET])
    #expect(run.output == reset(family).bytes)
    #expect(try forwarder.run(segment(family, .syn).bytes).counts[.VERDICT_FORWARDED].packets == 1)
  }

  @Test("an entry that has expired tells nothing of its backend", arguments: AddressFamily.allCases)
  func expired(_ family: AddressFamily) throws {
    try takeAfter(segment(family))
    for (key, entry) in try forwarder.flows.entries() {
      var old = entry
      old.last_seen = 0 &- 1001
      try forwarder.flows.update(key, to: old)
    }
    #expect(try forwarder.run(segment(family).bytes).counts[.VERDICT_FORWARDED].packets == 1)
  }

  @Test("SYN, RST, odd flags and UDP are never answered by a RST", arguments: AddressFamily.allCases)
  func others(_ family: AddressFamily) throws {
    for (what, packet) in [
      ("SYN", segment(family, .syn)), ("RST", segment(family, .rst)), ("odd", segment(family, [.psh])),
      ("UDP", Packet.ethernet().ip(from: family.client, to: family.vip).udp(from: 40000, to: port)),
    ] {
      try forwarder.forgetFlows()
      for backend in forwarder.scenario.backends { forwarder.backends[Int(backend.number)] = backend.abi }
      try takeAfter(segment(family))
      #expect(try forwarder.run(packet.bytes).counts[.VERDICT_FORWARDED].packets == 1, "\(what)")
    }
  }

  @Test("a flow without entry is never told, whatever the slot remembers", arguments: AddressFamily.allCases)
  func unknown(_ family: AddressFamily) throws {
    take(previous)
    for state in [slot_state.SLOT_CHANGED, .SLOT_SETTLING, .SLOT_STABLE] {
      for age in [0, 1, 100, 101, settle + 1] as [UInt32] {
        for flags in [TCPFlags.ack, [.ack, .psh], [.ack, .fin]] {
          try forwarder.forgetFlows()
          slot(state, age: age)
          let counts = try forwarder.run(segment(family, flags).bytes).counts
          #expect(counts[.VERDICT_FORWARDED].packets == 1, "\(state), age \(age), \(flags)")
        }
      }
    }
  }

  @Test(
    "a SYN that could not be written, and what follows it, goes to current", arguments: AddressFamily.allCases
  )
  func unwritten(_ family: AddressFamily) throws {
    var full = scenario()
    full.newPerTick = 0
    full.learnedPerTick = 0
    let forwarder = try makeForwarder(full)
    forwarder.setSlots(of: 1, to: [slot_word(current, previous, .SLOT_CHANGED, 0 &- 1)])
    var gone = forwarder.scenario.backend(previous)
    gone.isUsable = false
    forwarder.backends[Int(previous)] = gone.abi
    for flags in [TCPFlags.syn, .ack, [.ack, .psh], [.ack, .fin]] {
      #expect(
        try forwarder.run(segment(family, flags).bytes).counts[.VERDICT_FORWARDED].packets == 1, "\(flags)")
    }
    #expect(try forwarder.flows.entries().isEmpty)
  }

  @Test("behind extension headers the segment is dropped, as its backend is gone")
  func extended() throws {
    try takeAfter(segment(.v6))
    let packet = Packet.ethernet().ip(from: AddressFamily.v6.client, to: AddressFamily.v6.vip)
      .extensionHeader(.destinationOptions).tcp(from: 40000, to: port)
    let run = try forwarder.run(packet.bytes)
    #expect(Array(run.counts.risen.keys) == [.VERDICT_DROPPED_NO_BACKEND])
  }
}
