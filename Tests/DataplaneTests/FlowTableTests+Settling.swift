// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// Slots that settle, ways to track flows, and a full table.
extension FlowTableTests {
  // MARK: - Settling

  @Test("a settling slot writes nothing new, and keeps the flows it knows", arguments: AddressFamily.allCases)
  func settling(_ family: AddressFamily) throws {
    slot(.SLOT_SETTLING, age: 1)
    for packet in [family.flow().packet(.syn), family.flow().packet()] {
      let (to, events) = try send(packet)
      #expect(to == World.current)
      #expect(events == FlowTableEvents())
    }
    #expect(try entryCount() == 0)
    let datagram = try send(family.flow(World.tcpPort, .udp).packet())
    #expect(datagram.to == World.current)
    #expect(datagram.events == FlowTableEvents(learned: 1), "UDP is written until the slot is stable")

    try write(family.flow(), FlowTableEntry(World.previous, generation: 7, age: 500))
    let (to, events) = try send(family.flow().packet())
    #expect(to == World.previous)
    #expect(events == FlowTableEvents(found: 1))
    #expect(try entry(family.flow()) == FlowTableEntry(World.previous, generation: 7))
  }

  @Test("a changed slot settles by itself, and not while its previous drains")
  func settles() throws {
    slot(.SLOT_CHANGED, age: World.settle)
    #expect(try send(AddressFamily.v4.flow(from: 1).packet(.syn)).events == FlowTableEvents(started: 1))
    slot(.SLOT_CHANGED, age: World.settle + 1)
    #expect(try send(AddressFamily.v4.flow(from: 2).packet(.syn)).events == FlowTableEvents())
    forwarder.backends[Int(World.previous)].next_hop |= UInt64(BACKEND_DRAINING)
    #expect(try send(AddressFamily.v4.flow(from: 3).packet(.syn)).events == FlowTableEvents(started: 1))
  }

  @Test("a SYN over an entry of a settling slot that is over: the entry follows it")
  func reusedWhileSettling() throws {
    slot(.SLOT_SETTLING)
    forwarder.backends[Int(World.previous)].next_hop |= UInt64(BACKEND_DRAINING)
    let flow = AddressFamily.v4.flow()
    try write(flow, FlowTableEntry(World.previous, generation: 7, age: 11, flags: FLOW_FINISHED))
    #expect(try send(flow.packet(.syn)).to == World.current)
    #expect(try send(flow.packet()).to == World.current)
    #expect(try entry(flow) == FlowTableEntry(World.current, generation: 8))
  }

  @Test("M4 a slot in an unknown state sends to its current backend")
  func unknownState() throws {
    forwarder.setSlots(of: 1, to: [slot_word(World.current, World.previous, .SLOT_STABLE, 0) | 3 << 36])
    #expect(try send(AddressFamily.v4.flow().packet()).to == World.current)
  }

  // MARK: - Affinity

  @Test("affinity `all` remembers flows of stable slots, too", arguments: AddressFamily.allCases)
  func tracking(_ family: AddressFamily) throws {
    let flow = family.flow(World.trackingPort)
    var (to, events) = try send(flow.packet(.syn))
    #expect(to == World.current)
    #expect(events == FlowTableEvents(started: 1))
    #expect(try send(flow.packet()).to == World.current)
    #expect(try entry(flow) == FlowTableEntry(World.current, generation: 8))

    (to, events) = try send(family.flow(World.trackingPort, from: 40001).packet())
    #expect(to == World.current)
    #expect(events == FlowTableEvents(learned: 1))

    slot(.SLOT_STABLE, World.third)
    #expect(try send(flow.packet()).to == World.current, "its own, whatever becomes of the slot")
  }

  @Test("affinity `none` never looks back", arguments: AddressFamily.allCases)
  func forgetful(_ family: AddressFamily) throws {
    let flow = family.flow(World.forgetfulPort)
    try write(flow, FlowTableEntry(World.third, generation: 9, age: 1))
    for state in [slot_state.SLOT_STABLE, .SLOT_CHANGED, .SLOT_SETTLING] {
      slot(state)
      for flags in [TCPFlags.syn, .ack] {
        let (to, events) = try send(flow.packet(flags))
        #expect(to == World.current)
        #expect(events == FlowTableEvents())
      }
    }
    #expect(try entryCount() == 1)
  }

  // MARK: - Full

  @Test("A2 flow table full: a first packet goes where its next one will go")
  func full() throws {
    let small = try makeForwarder(World.scenario(flowEntries: 1))
    let owner = AddressFamily.v4.flow(from: 1)
    let newcomer = AddressFamily.v4.flow(from: 2)
    small.setSlots(of: 1, to: [slot_word(World.current, World.previous, .SLOT_CHANGED, 0 &- 1)])
    #expect(try send(owner.packet(.syn), to: small).to == World.current)

    var (to, events) = try send(newcomer.packet(.syn), to: small)
    #expect(to == World.previous)
    #expect(events == FlowTableEvents(toPrevious: 1, notWritten: 1))
    (to, events) = try send(newcomer.packet(), to: small)
    #expect(to == World.previous)
    #expect(events == FlowTableEvents(toPrevious: 1, notWritten: 1))

    (to, events) = try send(owner.packet(), to: small)
    #expect(to == World.current, "what is written stays: nothing is evicted")
    #expect(events == FlowTableEvents(found: 1))

    small.setSlots(
      of: 1, to: [slot_word(World.current, World.previous, .SLOT_CHANGED, 0 &- (World.learn + 1))])
    for flags in [TCPFlags.syn, .ack] {
      (to, events) = try send(newcomer.packet(flags), to: small)
      #expect(to == World.current)
      #expect(events == FlowTableEvents(notWritten: 1))
    }
    #expect(try small.flows.entries().count == 1)
  }
}
