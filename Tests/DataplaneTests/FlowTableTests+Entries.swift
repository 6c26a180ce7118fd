// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// How long entries live, and what ends them.
extension FlowTableTests {
  // MARK: - Entries

  @Test(
    "an entry serves as long as its kind of flow may be silent",
    arguments: [
      (0, World.tcpIdle, true), (0, World.tcpIdle + 1, false), (FLOW_SYN_ONLY, 10, true),
      (FLOW_SYN_ONLY, 11, false),
      (FLOW_CLOSING, 60, true), (FLOW_CLOSING, 61, false),
    ] as [(Int32, UInt32, Bool)])
  func idle(_ flags: Int32, _ age: UInt32, _ lives: Bool) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, FlowTableEntry(World.third, generation: 9, age: age, flags: flags))
    #expect(try send(flow.packet()).to == (lives ? World.third : World.previous))
    #expect(
      try entry(flow)
        == (lives
          ? FlowTableEntry(World.third, generation: 9, flags: flags & FLOW_FINISHED)
          : FlowTableEntry(World.previous, generation: 7, flags: FLOW_ONCE)))
  }

  @Test(
    "a UDP entry serves for `udp_idle`",
    arguments: [(World.udpIdle, true), (World.udpIdle + 1, false)] as [(UInt32, Bool)])
  func idleDatagrams(_ age: UInt32, _ lives: Bool) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v6.flow(World.tcpPort, .udp)
    try write(flow, FlowTableEntry(World.third, generation: 9, age: age))
    #expect(try send(flow.packet()).to == (lives ? World.third : World.previous))
  }

  @Test("an entry that another CPU has renewed in a tick that this one has not seen yet lives")
  func renewedAhead() throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, FlowTableEntry(World.third, generation: 9, age: 0 &- 1))
    #expect(try send(flow.packet()).to == World.third)
  }

  @Test("an entry of another generation of its backend serves nobody", arguments: [TCPFlags.ack, .syn])
  func generation(_ flags: TCPFlags) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, FlowTableEntry(World.third, generation: 8, age: 1))
    let expected = flags == .syn ? World.current : World.previous
    #expect(try send(flow.packet(flags)).to == expected)
    #expect(try entry(flow)?.backend == expected)
  }

  @Test(
    "an entry whose backend is not usable, not there, or out of range serves nobody",
    arguments: [
      World.third, 900, UInt32(BACKEND_NONE), ForwarderFixture.backendCount, UInt32.max,
    ])
  func unusable(_ number: UInt32) throws {
    slot(.SLOT_CHANGED)
    setUsable(World.third, false)
    let flow = AddressFamily.v6.flow()
    try write(flow, FlowTableEntry(number, generation: number == World.third ? 9 : 0, age: 1))
    #expect(try send(flow.packet()).to == World.previous)
    #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: FLOW_ONCE))
  }

  struct Closing: Sendable {
    let flags: TCPFlags
    /// The entry's marks after a packet with these flags, and after an ACK that follows.
    let marks, afterACK: Int32
  }

  @Test(
    "FIN and RST shorten an entry's life; what proves them wrong restores it",
    arguments: [
      Closing(flags: [.fin, .ack], marks: FLOW_FINISHED, afterACK: FLOW_FINISHED),
      Closing(flags: .rst, marks: FLOW_RESET, afterACK: 0),
      Closing(flags: [.rst, .ack], marks: FLOW_RESET, afterACK: 0),
      Closing(flags: [.fin, .rst, .ack], marks: FLOW_CLOSING, afterACK: FLOW_FINISHED),
    ])
  func closing(_ closing: Closing) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, FlowTableEntry(World.previous, generation: 7, age: 1))
    #expect(try send(flow.packet(closing.flags)).to == World.previous)
    #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: closing.marks))
    #expect(try send(flow.packet()).to == World.previous)
    #expect(
      try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: closing.afterACK),
      "the last ACK of a close is no life")
    #expect(try send(flow.packet([.ack, .psh]).payload(1)).to == World.previous)
    #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7), "who closed sends no data")
  }

  @Test("a flow of which the end is seen first is remembered as closing; a RST is no flow")
  func endOnly() throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    for flags in [TCPFlags.rst, [.rst, .ack]] {
      #expect(try send(flow.packet(flags)).to == World.previous)
      #expect(try entry(flow) == nil)
    }
    #expect(try send(flow.packet([.fin, .ack])).to == World.previous)
    #expect(
      try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: FLOW_FINISHED | FLOW_ONCE))
  }

  @Test(
    "P9 odd flags go where the flow goes, and neither write nor refresh",
    arguments: [
      [], [.syn, .fin], [.syn, .rst], [.syn, .ack], .fin, [.psh, .urg], [.fin, .syn, .rst, .psh, .ack, .urg],
    ] as [TCPFlags])
  func oddFlags(_ flags: TCPFlags) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    #expect(try send(flow.packet(flags)).to == World.previous)
    #expect(try entryCount() == 0)
    try write(flow, FlowTableEntry(World.third, generation: 9, age: 5))
    #expect(try send(flow.packet(flags)).to == World.third)
    #expect(try entry(flow) == FlowTableEntry(World.third, generation: 9, age: 5))
  }

  @Test(
    "P16 ICMP errors go where the flow goes, and neither write nor refresh", arguments: AddressFamily.allCases
  )
  func errors(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow()
    let error = Packet.ethernet().ip(from: family.routerOnTheWay, to: family.vip).icmp(
      type: family == .v4 ? 3 : 1
    )
    .quoting(.bare.ip(from: family.vip, to: family.client).tcp(from: flow.servicePort, to: flow.clientPort))
    var (to, events) = try send(error)
    #expect(to == World.previous)
    #expect(events == FlowTableEvents(toPrevious: 1))
    #expect(try entryCount() == 0)

    try write(flow, FlowTableEntry(World.third, generation: 9, age: 5))
    (to, events) = try send(error)
    #expect(to == World.third)
    #expect(events == FlowTableEvents(found: 1))
    #expect(try entry(flow) == FlowTableEntry(World.third, generation: 9, age: 5))
  }
}
