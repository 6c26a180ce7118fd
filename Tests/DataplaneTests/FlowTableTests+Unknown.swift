// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// Flows of which nothing is known, and UDP.
extension FlowTableTests {
  // MARK: - One packet proves no connection

  func lastUnknown(_ number: UInt32) throws -> Bool {
    defer { try? forwarder.lastUnknown.update(number, to: 0) }
    return try forwarder.lastUnknown.lookup(number) == UInt64(LAST_UNKNOWN_SEEN)
  }

  @Test(
    "a second packet confirms an unknown flow, two ticks after the first and no RST",
    arguments: AddressFamily.allCases, [IPProtocol.tcp, .udp])
  func confirmation(_ family: AddressFamily, _ transport: IPProtocol) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow(World.tcpPort, transport)
    func unconfirmed(_ age: UInt32) -> Int32 {
      FLOW_ONCE | Int32(bitPattern: (0 &- age) << UInt32(FLOW_FIRST_SHIFT))
    }
    for age in [0, 1, 0 &- 1] as [UInt32] {
      try write(flow, FlowTableEntry(World.previous, generation: 7, age: 1, flags: unconfirmed(age)))
      #expect(try send(flow.packet()).to == World.previous)
      #expect(
        try entry(flow) == FlowTableEntry(World.previous, generation: 7, flags: unconfirmed(age)),
        "\(age) ticks after")
      #expect(try !lastUnknown(World.previous))
    }
    for age in [2, 3, 1000, 40_000, 65_534] as [UInt32] {
      try write(flow, FlowTableEntry(World.previous, generation: 7, age: 1, flags: unconfirmed(age)))
      if transport == .tcp {
        for flags in [TCPFlags.rst, [.rst, .ack], .syn, [.syn, .ack], .fin] {
          #expect(try send(flow.packet(flags)).to == World.previous)
          #expect(try entry(flow)!.flags & UInt32(FLOW_ONCE) != 0, "\(flags) confirms nothing")
          #expect(try !lastUnknown(World.previous))
        }
      }
      #expect(try send(flow.packet()).to == World.previous)
      #expect(try entry(flow) == FlowTableEntry(World.previous, generation: 7), "\(age) ticks after")
      #expect(try lastUnknown(World.previous))
    }
  }

  @Test("stray packets of any kind leave no trace that a drain waits for", arguments: AddressFamily.allCases)
  func strays(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flags =
      [.ack, [.ack, .psh], [.ack, .fin], .rst, [.rst, .ack], [.syn, .ack], .fin, []] as [TCPFlags]
    for (number, flags) in flags.enumerated() {
      #expect(try send(family.flow(from: UInt16(number)).packet(flags)).to == World.previous)
    }
    #expect(try send(family.flow(World.tcpPort, .udp).packet()).to == World.previous)
    #expect(try !lastUnknown(World.previous))
    #expect(try forwarder.flows.entries().allSatisfy { $0.1.flags & UInt32(FLOW_ONCE) != 0 })
  }

  @Test("a packet that goes to previous and cannot be written keeps its drain open")
  func unwritten() throws {
    var narrow = World.scenario()
    (narrow.newPerTick, narrow.learnedPerTick) = (0, 0)
    let narrowed = try makeForwarder(narrow)
    narrowed.setSlots(of: 1, to: [slot_word(World.current, World.previous, .SLOT_CHANGED, 0 &- 1)])
    for (packet, keeps) in [
      (AddressFamily.v4.flow().packet(.syn), true), (AddressFamily.v4.flow().packet(), true),
      (AddressFamily.v4.flow(World.tcpPort, .udp).packet(), true),
      (AddressFamily.v4.flow().packet(.rst), false),
      (AddressFamily.v4.flow().packet([.syn, .ack]), false),
    ] {
      try narrowed.lastUnknown.update(World.previous, to: 0)
      #expect(try send(packet, to: narrowed).to == World.previous)
      #expect(try narrowed.lastUnknown.lookup(World.previous) == UInt64(keeps ? LAST_UNKNOWN_SEEN : 0))
    }
  }

  @Test("previous backend not usable: the current one has the flow", arguments: AddressFamily.allCases)
  func previousGone(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    setUsable(World.previous, false)
    let (to, events) = try send(family.flow().packet())
    #expect(to == World.current)
    #expect(events == FlowTableEvents(learned: 1))
    #expect(try entry(family.flow()) == FlowTableEntry(World.current, generation: 8, flags: FLOW_ONCE))
  }

  @Test("a slot that had no backend before")
  func noPrevious() throws {
    slot(.SLOT_CHANGED, was: UInt32(BACKEND_NONE))
    #expect(try send(AddressFamily.v4.flow().packet()).to == World.current)
  }

  @Test("a slot without current backend: known and older flows go on, new ones are dropped")
  func noCurrent() throws {
    slot(.SLOT_CHANGED, UInt32(BACKEND_NONE))
    #expect(try send(AddressFamily.v4.flow().packet()).to == World.previous)
    #expect(try send(AddressFamily.v4.flow(from: 40001).packet(.syn)).to == nil)
    slot(.SLOT_CHANGED, UInt32(BACKEND_NONE), age: World.learn + 1)
    #expect(try send(AddressFamily.v4.flow().packet()).to == World.previous)
    #expect(try send(AddressFamily.v4.flow(from: 40002).packet()).to == nil)
    #expect(try entryCount() == 1)
  }

  @Test(
    "an unknown TCP flow belongs to the previous backend within `learn`",
    arguments: [
      (0, World.previous), (World.learn, World.previous), (World.learn + 1, World.current),
      (1 << 25, World.current), ((1 << 26) - 1, World.current),
    ] as [(UInt32, UInt32)])
  func window(_ age: UInt32, _ expected: UInt32) throws {
    slot(.SLOT_CHANGED, age: age)
    #expect(try send(AddressFamily.v6.flow().packet()).to == expected)
    #expect(try entry(AddressFamily.v6.flow())?.backend == (age <= World.settle ? expected : nil))
  }

  // MARK: - UDP

  @Test(
    "an unknown UDP flow belongs to the previous backend within `udp_idle`",
    arguments: [
      (0, World.previous), (World.udpIdle, World.previous), (World.udpIdle + 1, World.current),
      (World.learn, World.current),
    ] as [(UInt32, UInt32)])
  func datagrams(_ age: UInt32, _ expected: UInt32) throws {
    slot(.SLOT_CHANGED, age: age)
    for family in AddressFamily.allCases {
      let flow = family.flow(World.tcpPort, .udp)
      #expect(try send(flow.packet()).to == expected)
      #expect(try entry(flow)?.backend == expected)
      let (to, events) = try send(flow.packet())
      #expect(to == expected)
      #expect(events == FlowTableEvents(found: 1))
    }
    #expect(try entryCount() == 2)
  }

  @Test("UDP and TCP flows of the same ports are two flows")
  func protocols() throws {
    slot(.SLOT_CHANGED)
    #expect(try send(AddressFamily.v4.flow().packet(.syn)).to == World.current)
    #expect(try send(AddressFamily.v4.flow(World.tcpPort, .udp).packet()).to == World.previous)
    #expect(try entryCount() == 2)
  }
}
