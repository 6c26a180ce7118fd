// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@Suite("Flow table", .serialized)
struct FlowTableTests {
  private static let shared = Result { try makeForwarder(World.scenario()) }
  typealias World = FlowTableWorld
  let forwarder: ForwarderFixture

  init() throws {
    forwarder = try Self.shared.get()
    try forwarder.forgetFlows()
    for backend in forwarder.scenario.backends { forwarder.backends[Int(backend.number)] = backend.abi }
    slot(.SLOT_STABLE)
  }

  func slot(
    _ state: slot_state, _ now: UInt32 = World.current, was before: UInt32 = World.previous, age: UInt32 = 1
  ) {
    forwarder.setSlots(of: 1, to: [slot_word(now, before, state, 0 &- age)])
  }

  func setUsable(_ number: UInt32, _ isUsable: Bool) {
    var backend = forwarder.scenario.backend(number)
    backend.isUsable = isUsable
    forwarder.backends[Int(number)] = backend.abi
  }

  /// Who a packet goes to, and what it did to the flow table; nil: it was dropped for want of a backend.
  func send(_ packet: Packet, to forwarder: ForwarderFixture? = nil) throws -> (
    to: UInt32?, events: FlowTableEvents
  ) {
    let forwarder = forwarder ?? self.forwarder
    let run = try forwarder.run(packet.bytes)
    let events = FlowTableEvents(run.counts)
    if run.action == Action.drop {
      #expect(Array(run.counts.risen.keys) == [.VERDICT_DROPPED_NO_BACKEND])
      return (nil, events)
    }
    let nextHop = Array(run.output[..<6])
    return (forwarder.scenario.backends.first { $0.nextHop?.octets == nextHop }!.number, events)
  }

  func entry(_ flow: Flow) throws -> FlowTableEntry? {
    try forwarder.flows.lookup(flow.key).map(FlowTableEntry.init)
  }

  func write(_ flow: Flow, _ entry: FlowTableEntry) throws {
    try forwarder.flows.update(
      flow.key,
      to: CForwardingABI.flow(
        backend: entry.backend, generation: entry.generation, last_seen: 0 &- entry.age, flags: entry.flags))
  }

  func entryCount() throws -> Int { try forwarder.flows.entries().count }

  // MARK: - Stable

  @Test("a stable slot neither asks the flow table nor writes it", arguments: AddressFamily.allCases)
  func stable(_ family: AddressFamily) throws {
    let flow = family.flow()
    try write(flow, FlowTableEntry(World.previous, generation: 7, age: 5))
    for flags in [TCPFlags.syn, .ack, [.fin, .ack]] {
      let (to, events) = try send(flow.packet(flags))
      #expect(to == World.current)
      #expect(events == FlowTableEvents())
    }
    #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7, age: 5))
    #expect(try send(family.flow(World.tcpPort, .udp).packet()).to == World.current)
    #expect(try entryCount() == 1)
  }

  // MARK: - Changed

  @Test(
    "unknown flow of a changed slot: to the previous backend, and known from then on",
    arguments: AddressFamily.allCases)
  func unknown(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow()
    var (to, events) = try send(flow.packet())
    #expect(to == World.previous)
    #expect(events == FlowTableEvents(learned: 1, toPrevious: 1))
    #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: FLOW_ONCE))
    #expect(try entryCount() == 1)

    slot(.SLOT_CHANGED, World.third, was: World.previous, age: World.learn + 50)
    (to, events) = try send(flow.packet([.ack, .psh]))
    #expect(to == World.previous, "known, whatever becomes of the slot")
    #expect(events == FlowTableEvents(found: 1))
  }

  @Test(
    "first packet on a changed slot: to the current backend, and so is the next",
    arguments: AddressFamily.allCases)
  func first(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow()
    var (to, events) = try send(flow.packet(.syn))
    #expect(to == World.current)
    #expect(events == FlowTableEvents(started: 1))
    #expect(try entry(flow) == FlowTableEntry(World.current, generation: 8, flags: FLOW_SYN_ONLY))

    (to, events) = try send(flow.packet())
    #expect(to == World.current)
    #expect(events == FlowTableEvents(found: 1))
    #expect(try entry(flow) == FlowTableEntry(World.current, generation: 8))
  }

  @Test("a repeated SYN goes where the first one went", arguments: AddressFamily.allCases)
  func repeated(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    #expect(try send(family.flow().packet(.syn)).to == World.current)
    slot(.SLOT_CHANGED, World.third)
    let (to, events) = try send(family.flow().packet(.syn))
    #expect(to == World.current)
    #expect(events == FlowTableEvents(found: 1))
    #expect(try entry(family.flow()) == FlowTableEntry(World.current, generation: 8, flags: FLOW_SYN_ONLY))
  }

  @Test(
    "a SYN follows a closing entry; one that is over, of a backend that drains, begins a new flow",
    arguments: [FLOW_FINISHED, FLOW_RESET, FLOW_CLOSING], [true, false])
  func reused(_ marks: Int32, _ drains: Bool) throws {
    slot(.SLOT_CHANGED)
    if drains { forwarder.backends[Int(World.previous)].next_hop |= UInt64(BACKEND_DRAINING) }
    let flow = AddressFamily.v4.flow()
    for age in [0, 3, 10, 11, 60] as [UInt32] {
      try write(flow, FlowTableEntry(World.previous, generation: 7, age: age, flags: marks))
      if drains && age > FLOW_OVER_IDLE {
        #expect(try send(flow.packet(.syn)).to == World.current, "silent for \(age)")
        #expect(try entry(flow) == FlowTableEntry(World.current, generation: 8, flags: FLOW_SYN_ONLY))
      } else {
        #expect(try send(flow.packet(.syn)).to == World.previous, "silent for \(age)")
        #expect(try send(flow.packet()).to == World.previous)
        #expect(
          try entry(flow) == FlowTableEntry(World.previous, generation: 7), "the new connection is whole")
      }
    }
  }

  @Test(
    "no two forged packets move a flow that was heard a moment ago",
    arguments: AddressFamily.allCases, [true, false])
  func forged(_ family: AddressFamily, _ drains: Bool) throws {
    if drains { forwarder.backends[Int(World.previous)].next_hop |= UInt64(BACKEND_DRAINING) }
    let flow = family.flow()
    let forgeries =
      [.rst, [.rst, .ack], [.fin, .ack], [.fin, .rst, .ack], .syn, .ack, .fin, [.syn, .ack]]
      as [TCPFlags]
    for state in [slot_state.SLOT_CHANGED, .SLOT_SETTLING] {
      slot(state)
      for first in forgeries {
        for second in forgeries {
          try write(flow, FlowTableEntry(World.previous, generation: 7, age: 10))
          _ = try send(flow.packet(first))
          _ = try send(flow.packet(second))
          #expect(try send(flow.packet()).to == World.previous, "after \(first) and \(second)")
        }
      }
    }
  }
}
