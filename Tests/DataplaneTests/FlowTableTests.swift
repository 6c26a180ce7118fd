// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// Backends of the tests of the flow table: the owner before a change, the one after it, and a third.
private let previous: UInt32 = 11
private let current: UInt32 = 12
private let third: UInt32 = 13

private let tcpPort: UInt16 = 80
private let trackingPort: UInt16 = 81
private let forgetfulPort: UInt16 = 82

private let learn: UInt32 = 100
private let udpIdle: UInt32 = 30
private let tcpIdle: UInt32 = 1000
private let settle: UInt32 = 1000

/// One slot for all flows, so that each test says which state they meet.
private func scenario(flowEntries: UInt32 = 64) -> Scenario {
  var scenario = Scenario()
  scenario.flowEntries = flowEntries
  scenario.backends = [
    TestBackend(
      previous, ip("10.0.0.11"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0b", generation: 7),
    TestBackend(
      current, ip("10.0.0.12"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0c", generation: 8),
    TestBackend(third, ip("fd00::13"), source: ip("fd00:9::1"), nextHop: "02:00:00:00:01:0d", generation: 9),
  ]
  scenario.pools = [TestPool(1, current)]
  for (number, family) in [(1 as UInt32, AddressFamily.v4), (11, .v6)] {
    scenario.services += [
      TestService(number, family.vip, tcpPort, pool: 1, learn: learn, udpIdle: udpIdle, tcpIdle: tcpIdle),
      TestService(
        number + 1, family.vip, tcpPort, .udp, pool: 1, learn: learn, udpIdle: udpIdle, tcpIdle: tcpIdle),
      TestService(number + 2, family.vip, trackingPort, pool: 1, affinity: .AFFINITY_ALL, tcpIdle: tcpIdle),
      TestService(number + 3, family.vip, forgetfulPort, pool: 1, affinity: .AFFINITY_NONE),
    ]
  }
  return scenario
}

extension AddressFamily {
  fileprivate func flow(
    _ port: UInt16 = tcpPort, _ transport: IPProtocol = .tcp, from clientPort: UInt16 = 40000
  ) -> Flow {
    Flow(from: client, clientPort, to: vip, port, transport)
  }
}

extension Flow {
  fileprivate func packet(_ flags: TCPFlags = .ack) -> Packet {
    let packet = Packet.ethernet().ip(from: client, to: vip)
    return transport == .tcp
      ? packet.tcp(from: clientPort, to: servicePort, flags: flags)
      : packet.udp(from: clientPort, to: servicePort)
  }
}

@Suite("Flow table", .serialized)
struct FlowTableTests {
  private static let shared = Result { try makeForwarder(scenario()) }
  private let forwarder: ForwarderFixture

  init() throws {
    forwarder = try Self.shared.get()
    try forwarder.forgetFlows()
    for backend in forwarder.scenario.backends { forwarder.backends[Int(backend.number)] = backend.abi }
    slot(.SLOT_STABLE)
  }

  private func slot(
    _ state: slot_state, _ now: UInt32 = current, was before: UInt32 = previous, age: UInt32 = 1
  ) {
    forwarder.setSlots(of: 1, to: [slot_word(now, before, state, 0 &- age)])
  }

  private func setUsable(_ number: UInt32, _ isUsable: Bool) {
    var backend = forwarder.scenario.backend(number)
    backend.isUsable = isUsable
    forwarder.backends[Int(number)] = backend.abi
  }

  /// Who a packet goes to, and what it did to the flow table; nil: it was dropped for want of a backend.
  private func send(_ packet: Packet, to forwarder: ForwarderFixture? = nil) throws -> (
    to: UInt32?, events: Events
  ) {
    let forwarder = forwarder ?? self.forwarder
    let run = try forwarder.run(packet.bytes)
    let events = Events(run.counts)
    if run.action == Action.drop {
      #expect(Array(run.counts.risen.keys) == [.VERDICT_DROPPED_NO_BACKEND])
      return (nil, events)
    }
    let nextHop = Array(run.output[..<6])
    return (forwarder.scenario.backends.first { $0.nextHop?.octets == nextHop }!.number, events)
  }

  private func entry(_ flow: Flow) throws -> Entry? { try forwarder.flows.lookup(flow.key).map(Entry.init) }

  private func write(_ flow: Flow, _ entry: Entry) throws {
    try forwarder.flows.update(
      flow.key,
      to: CForwardingABI.flow(
        backend: entry.backend, generation: entry.generation, last_seen: 0 &- entry.age, flags: entry.flags))
  }

  private func entryCount() throws -> Int { try forwarder.flows.entries().count }

  // MARK: - Stable

  @Test("a stable slot neither asks the flow table nor writes it", arguments: AddressFamily.allCases)
  func stable(_ family: AddressFamily) throws {
    let flow = family.flow()
    try write(flow, Entry(previous, generation: 7, age: 5))
    for flags in [TCPFlags.syn, .ack, [.fin, .ack]] {
      let (to, events) = try send(flow.packet(flags))
      #expect(to == current)
      #expect(events == Events())
    }
    #expect(try entry(flow) == Entry(previous, generation: 7, age: 5))
    #expect(try send(family.flow(tcpPort, .udp).packet()).to == current)
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
    #expect(to == previous)
    #expect(events == Events(learned: 1, toPrevious: 1))
    #expect(try entry(flow) == Entry(previous, generation: 7, flags: FLOW_ONCE))
    #expect(try entryCount() == 1)

    slot(.SLOT_CHANGED, third, was: previous, age: learn + 50)
    (to, events) = try send(flow.packet([.ack, .psh]))
    #expect(to == previous, "known, whatever becomes of the slot")
    #expect(events == Events(found: 1))
  }

  @Test(
    "first packet on a changed slot: to the current backend, and so is the next",
    arguments: AddressFamily.allCases)
  func first(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow()
    var (to, events) = try send(flow.packet(.syn))
    #expect(to == current)
    #expect(events == Events(started: 1))
    #expect(try entry(flow) == Entry(current, generation: 8, flags: FLOW_SYN_ONLY))

    (to, events) = try send(flow.packet())
    #expect(to == current)
    #expect(events == Events(found: 1))
    #expect(try entry(flow) == Entry(current, generation: 8))
  }

  @Test("a repeated SYN goes where the first one went", arguments: AddressFamily.allCases)
  func repeated(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    #expect(try send(family.flow().packet(.syn)).to == current)
    slot(.SLOT_CHANGED, third)
    let (to, events) = try send(family.flow().packet(.syn))
    #expect(to == current)
    #expect(events == Events(found: 1))
    #expect(try entry(family.flow()) == Entry(current, generation: 8, flags: FLOW_SYN_ONLY))
  }

  @Test(
    "a SYN follows a closing entry; one that is over, of a backend that drains, begins a new flow",
    arguments: [FLOW_FINISHED, FLOW_RESET, FLOW_CLOSING], [true, false])
  func reused(_ marks: Int32, _ drains: Bool) throws {
    slot(.SLOT_CHANGED)
    if drains { forwarder.backends[Int(previous)].state |= UInt64(BACKEND_DRAINING) << 32 }
    let flow = AddressFamily.v4.flow()
    for age in [0, 3, 10, 11, 60] as [UInt32] {
      try write(flow, Entry(previous, generation: 7, age: age, flags: marks))
      if drains && age > FLOW_OVER_IDLE {
        #expect(try send(flow.packet(.syn)).to == current, "silent for \(age)")
        #expect(try entry(flow) == Entry(current, generation: 8, flags: FLOW_SYN_ONLY))
      } else {
        #expect(try send(flow.packet(.syn)).to == previous, "silent for \(age)")
        #expect(try send(flow.packet()).to == previous)
        #expect(try entry(flow) == Entry(previous, generation: 7), "the new connection is whole")
      }
    }
  }

  @Test(
    "no two forged packets move a flow that was heard a moment ago",
    arguments: AddressFamily.allCases, [true, false])
  func forged(_ family: AddressFamily, _ drains: Bool) throws {
    if drains { forwarder.backends[Int(previous)].state |= UInt64(BACKEND_DRAINING) << 32 }
    let flow = family.flow()
    let forgeries =
      [.rst, [.rst, .ack], [.fin, .ack], [.fin, .rst, .ack], .syn, .ack, .fin, [.syn, .ack]]
      as [TCPFlags]
    for state in [slot_state.SLOT_CHANGED, .SLOT_SETTLING] {
      slot(state)
      for first in forgeries {
        for second in forgeries {
          try write(flow, Entry(previous, generation: 7, age: 10))
          _ = try send(flow.packet(first))
          _ = try send(flow.packet(second))
          #expect(try send(flow.packet()).to == previous, "after \(first) and \(second)")
        }
      }
    }
  }

  // MARK: - One packet proves no connection

  private func lastUnknown(_ number: UInt32) throws -> Bool {
    defer { try? forwarder.lastUnknown.update(number, to: 0) }
    return try forwarder.lastUnknown.lookup(number) == UInt64(LAST_UNKNOWN_SEEN)
  }

  @Test(
    "a second packet confirms an unknown flow, two ticks after the first and no RST",
    arguments: AddressFamily.allCases, [IPProtocol.tcp, .udp])
  func confirmation(_ family: AddressFamily, _ transport: IPProtocol) throws {
    slot(.SLOT_CHANGED)
    let flow = family.flow(tcpPort, transport)
    func unconfirmed(_ age: UInt32) -> Int32 {
      FLOW_ONCE | Int32(bitPattern: (0 &- age) << UInt32(FLOW_FIRST_SHIFT))
    }
    for age in [0, 1, 0 &- 1] as [UInt32] {
      try write(flow, Entry(previous, generation: 7, age: 1, flags: unconfirmed(age)))
      #expect(try send(flow.packet()).to == previous)
      #expect(
        try entry(flow) == Entry(previous, generation: 7, flags: unconfirmed(age)), "\(age) ticks after")
      #expect(try !lastUnknown(previous))
    }
    for age in [2, 3, 1000, 40_000, 65_534] as [UInt32] {
      try write(flow, Entry(previous, generation: 7, age: 1, flags: unconfirmed(age)))
      if transport == .tcp {
        for flags in [TCPFlags.rst, [.rst, .ack], .syn, [.syn, .ack], .fin] {
          #expect(try send(flow.packet(flags)).to == previous)
          #expect(try entry(flow)!.flags & UInt32(FLOW_ONCE) != 0, "\(flags) confirms nothing")
          #expect(try !lastUnknown(previous))
        }
      }
      #expect(try send(flow.packet()).to == previous)
      #expect(try entry(flow) == Entry(previous, generation: 7), "\(age) ticks after")
      #expect(try lastUnknown(previous))
    }
  }

  @Test("stray packets of any kind leave no trace that a drain waits for", arguments: AddressFamily.allCases)
  func strays(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    let flags =
      [.ack, [.ack, .psh], [.ack, .fin], .rst, [.rst, .ack], [.syn, .ack], .fin, []] as [TCPFlags]
    for (number, flags) in flags.enumerated() {
      #expect(try send(family.flow(from: UInt16(number)).packet(flags)).to == previous)
    }
    #expect(try send(family.flow(tcpPort, .udp).packet()).to == previous)
    #expect(try !lastUnknown(previous))
    #expect(try forwarder.flows.entries().allSatisfy { $0.1.flags & UInt32(FLOW_ONCE) != 0 })
  }

  @Test("a packet that goes to previous and cannot be written keeps its drain open")
  func unwritten() throws {
    var narrow = scenario()
    (narrow.newPerTick, narrow.learnedPerTick) = (0, 0)
    let narrowed = try makeForwarder(narrow)
    narrowed.setSlots(of: 1, to: [slot_word(current, previous, .SLOT_CHANGED, 0 &- 1)])
    for (packet, keeps) in [
      (AddressFamily.v4.flow().packet(.syn), true), (AddressFamily.v4.flow().packet(), true),
      (AddressFamily.v4.flow(tcpPort, .udp).packet(), true), (AddressFamily.v4.flow().packet(.rst), false),
      (AddressFamily.v4.flow().packet([.syn, .ack]), false),
    ] {
      try narrowed.lastUnknown.update(previous, to: 0)
      #expect(try send(packet, to: narrowed).to == previous)
      #expect(try narrowed.lastUnknown.lookup(previous) == UInt64(keeps ? LAST_UNKNOWN_SEEN : 0))
    }
  }

  @Test("previous backend not usable: the current one has the flow", arguments: AddressFamily.allCases)
  func previousGone(_ family: AddressFamily) throws {
    slot(.SLOT_CHANGED)
    setUsable(previous, false)
    let (to, events) = try send(family.flow().packet())
    #expect(to == current)
    #expect(events == Events(learned: 1))
    #expect(try entry(family.flow()) == Entry(current, generation: 8, flags: FLOW_ONCE))
  }

  @Test("a slot that had no backend before")
  func noPrevious() throws {
    slot(.SLOT_CHANGED, was: UInt32(BACKEND_NONE))
    #expect(try send(AddressFamily.v4.flow().packet()).to == current)
  }

  @Test("a slot without current backend: known and older flows go on, new ones are dropped")
  func noCurrent() throws {
    slot(.SLOT_CHANGED, UInt32(BACKEND_NONE))
    #expect(try send(AddressFamily.v4.flow().packet()).to == previous)
    #expect(try send(AddressFamily.v4.flow(from: 40001).packet(.syn)).to == nil)
    slot(.SLOT_CHANGED, UInt32(BACKEND_NONE), age: learn + 1)
    #expect(try send(AddressFamily.v4.flow().packet()).to == previous)
    #expect(try send(AddressFamily.v4.flow(from: 40002).packet()).to == nil)
    #expect(try entryCount() == 1)
  }

  @Test(
    "an unknown TCP flow belongs to the previous backend within `learn`",
    arguments: [
      (0, previous), (learn, previous), (learn + 1, current), (1 << 25, current), ((1 << 26) - 1, current),
    ] as [(UInt32, UInt32)])
  func window(_ age: UInt32, _ expected: UInt32) throws {
    slot(.SLOT_CHANGED, age: age)
    #expect(try send(AddressFamily.v6.flow().packet()).to == expected)
    #expect(try entry(AddressFamily.v6.flow())?.backend == (age <= settle ? expected : nil))
  }

  // MARK: - UDP

  @Test(
    "an unknown UDP flow belongs to the previous backend within `udp_idle`",
    arguments: [
      (0, previous), (udpIdle, previous), (udpIdle + 1, current), (learn, current),
    ] as [(UInt32, UInt32)])
  func datagrams(_ age: UInt32, _ expected: UInt32) throws {
    slot(.SLOT_CHANGED, age: age)
    for family in AddressFamily.allCases {
      let flow = family.flow(tcpPort, .udp)
      #expect(try send(flow.packet()).to == expected)
      #expect(try entry(flow)?.backend == expected)
      let (to, events) = try send(flow.packet())
      #expect(to == expected)
      #expect(events == Events(found: 1))
    }
    #expect(try entryCount() == 2)
  }

  @Test("UDP and TCP flows of the same ports are two flows")
  func protocols() throws {
    slot(.SLOT_CHANGED)
    #expect(try send(AddressFamily.v4.flow().packet(.syn)).to == current)
    #expect(try send(AddressFamily.v4.flow(tcpPort, .udp).packet()).to == previous)
    #expect(try entryCount() == 2)
  }

  // MARK: - Entries

  @Test(
    "an entry serves as long as its kind of flow may be silent",
    arguments: [
      (0, tcpIdle, true), (0, tcpIdle + 1, false), (FLOW_SYN_ONLY, 10, true), (FLOW_SYN_ONLY, 11, false),
      (FLOW_CLOSING, 60, true), (FLOW_CLOSING, 61, false),
    ] as [(Int32, UInt32, Bool)])
  func idle(_ flags: Int32, _ age: UInt32, _ lives: Bool) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, Entry(third, generation: 9, age: age, flags: flags))
    #expect(try send(flow.packet()).to == (lives ? third : previous))
    #expect(
      try entry(flow)
        == (lives
          ? Entry(third, generation: 9, flags: flags & FLOW_FINISHED)
          : Entry(previous, generation: 7, flags: FLOW_ONCE)))
  }

  @Test(
    "a UDP entry serves for `udp_idle`",
    arguments: [(udpIdle, true), (udpIdle + 1, false)] as [(UInt32, Bool)])
  func idleDatagrams(_ age: UInt32, _ lives: Bool) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v6.flow(tcpPort, .udp)
    try write(flow, Entry(third, generation: 9, age: age))
    #expect(try send(flow.packet()).to == (lives ? third : previous))
  }

  @Test("an entry that another CPU has renewed in a tick that this one has not seen yet lives")
  func renewedAhead() throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, Entry(third, generation: 9, age: 0 &- 1))
    #expect(try send(flow.packet()).to == third)
  }

  @Test("an entry of another generation of its backend serves nobody", arguments: [TCPFlags.ack, .syn])
  func generation(_ flags: TCPFlags) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    try write(flow, Entry(third, generation: 8, age: 1))
    let expected = flags == .syn ? current : previous
    #expect(try send(flow.packet(flags)).to == expected)
    #expect(try entry(flow)?.backend == expected)
  }

  @Test(
    "an entry whose backend is not usable, not there, or out of range serves nobody",
    arguments: [
      third, 900, UInt32(BACKEND_NONE), ForwarderFixture.backendCount, UInt32.max,
    ])
  func unusable(_ number: UInt32) throws {
    slot(.SLOT_CHANGED)
    setUsable(third, false)
    let flow = AddressFamily.v6.flow()
    try write(flow, Entry(number, generation: number == third ? 9 : 0, age: 1))
    #expect(try send(flow.packet()).to == previous)
    #expect(try entry(flow) == Entry(previous, generation: 7, flags: FLOW_ONCE))
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
    try write(flow, Entry(previous, generation: 7, age: 1))
    #expect(try send(flow.packet(closing.flags)).to == previous)
    #expect(try entry(flow) == Entry(previous, generation: 7, flags: closing.marks))
    #expect(try send(flow.packet()).to == previous)
    #expect(
      try entry(flow) == Entry(previous, generation: 7, flags: closing.afterACK),
      "the last ACK of a close is no life")
    #expect(try send(flow.packet([.ack, .psh]).payload(1)).to == previous)
    #expect(try entry(flow) == Entry(previous, generation: 7), "who closed sends no data")
  }

  @Test("a flow of which the end is seen first is remembered as closing; a RST is no flow")
  func endOnly() throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    for flags in [TCPFlags.rst, [.rst, .ack]] {
      #expect(try send(flow.packet(flags)).to == previous)
      #expect(try entry(flow) == nil)
    }
    #expect(try send(flow.packet([.fin, .ack])).to == previous)
    #expect(try entry(flow) == Entry(previous, generation: 7, flags: FLOW_FINISHED | FLOW_ONCE))
  }

  @Test(
    "P9 odd flags go where the flow goes, and neither write nor refresh",
    arguments: [
      [], [.syn, .fin], [.syn, .rst], [.syn, .ack], .fin, [.psh, .urg], [.fin, .syn, .rst, .psh, .ack, .urg],
    ] as [TCPFlags])
  func oddFlags(_ flags: TCPFlags) throws {
    slot(.SLOT_CHANGED)
    let flow = AddressFamily.v4.flow()
    #expect(try send(flow.packet(flags)).to == previous)
    #expect(try entryCount() == 0)
    try write(flow, Entry(third, generation: 9, age: 5))
    #expect(try send(flow.packet(flags)).to == third)
    #expect(try entry(flow) == Entry(third, generation: 9, age: 5))
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
    #expect(to == previous)
    #expect(events == Events(toPrevious: 1))
    #expect(try entryCount() == 0)

    try write(flow, Entry(third, generation: 9, age: 5))
    (to, events) = try send(error)
    #expect(to == third)
    #expect(events == Events(found: 1))
    #expect(try entry(flow) == Entry(third, generation: 9, age: 5))
  }

  // MARK: - Settling

  @Test("a settling slot writes nothing new, and keeps the flows it knows", arguments: AddressFamily.allCases)
  func settling(_ family: AddressFamily) throws {
    slot(.SLOT_SETTLING, age: 1)
    for packet in [family.flow().packet(.syn), family.flow().packet()] {
      let (to, events) = try send(packet)
      #expect(to == current)
      #expect(events == Events())
    }
    #expect(try entryCount() == 0)
    let datagram = try send(family.flow(tcpPort, .udp).packet())
    #expect(datagram.to == current)
    #expect(datagram.events == Events(learned: 1), "UDP is written until the slot is stable")

    try write(family.flow(), Entry(previous, generation: 7, age: 500))
    let (to, events) = try send(family.flow().packet())
    #expect(to == previous)
    #expect(events == Events(found: 1))
    #expect(try entry(family.flow()) == Entry(previous, generation: 7))
  }

  @Test("a changed slot settles by itself, and not while its previous drains")
  func settles() throws {
    slot(.SLOT_CHANGED, age: settle)
    #expect(try send(AddressFamily.v4.flow(from: 1).packet(.syn)).events == Events(started: 1))
    slot(.SLOT_CHANGED, age: settle + 1)
    #expect(try send(AddressFamily.v4.flow(from: 2).packet(.syn)).events == Events())
    forwarder.backends[Int(previous)].state |= UInt64(BACKEND_DRAINING) << 32
    #expect(try send(AddressFamily.v4.flow(from: 3).packet(.syn)).events == Events(started: 1))
  }

  @Test("a SYN over an entry of a settling slot that is over: the entry follows it")
  func reusedWhileSettling() throws {
    slot(.SLOT_SETTLING)
    forwarder.backends[Int(previous)].state |= UInt64(BACKEND_DRAINING) << 32
    let flow = AddressFamily.v4.flow()
    try write(flow, Entry(previous, generation: 7, age: 11, flags: FLOW_FINISHED))
    #expect(try send(flow.packet(.syn)).to == current)
    #expect(try send(flow.packet()).to == current)
    #expect(try entry(flow) == Entry(current, generation: 8))
  }

  @Test("M4 a slot in an unknown state sends to its current backend")
  func unknownState() throws {
    forwarder.setSlots(of: 1, to: [slot_word(current, previous, .SLOT_STABLE, 0) | 3 << 36])
    #expect(try send(AddressFamily.v4.flow().packet()).to == current)
  }

  // MARK: - Affinity

  @Test("affinity `all` remembers flows of stable slots, too", arguments: AddressFamily.allCases)
  func tracking(_ family: AddressFamily) throws {
    let flow = family.flow(trackingPort)
    var (to, events) = try send(flow.packet(.syn))
    #expect(to == current)
    #expect(events == Events(started: 1))
    #expect(try send(flow.packet()).to == current)
    #expect(try entry(flow) == Entry(current, generation: 8))

    (to, events) = try send(family.flow(trackingPort, from: 40001).packet())
    #expect(to == current)
    #expect(events == Events(learned: 1))

    slot(.SLOT_STABLE, third)
    #expect(try send(flow.packet()).to == current, "its own, whatever becomes of the slot")
  }

  @Test("affinity `none` never looks back", arguments: AddressFamily.allCases)
  func forgetful(_ family: AddressFamily) throws {
    let flow = family.flow(forgetfulPort)
    try write(flow, Entry(third, generation: 9, age: 1))
    for state in [slot_state.SLOT_STABLE, .SLOT_CHANGED, .SLOT_SETTLING] {
      slot(state)
      for flags in [TCPFlags.syn, .ack] {
        let (to, events) = try send(flow.packet(flags))
        #expect(to == current)
        #expect(events == Events())
      }
    }
    #expect(try entryCount() == 1)
  }

  // MARK: - Full

  @Test("A2 flow table full: a first packet goes where its next one will go")
  func full() throws {
    let small = try makeForwarder(scenario(flowEntries: 1))
    let owner = AddressFamily.v4.flow(from: 1)
    let newcomer = AddressFamily.v4.flow(from: 2)
    small.setSlots(of: 1, to: [slot_word(current, previous, .SLOT_CHANGED, 0 &- 1)])
    #expect(try send(owner.packet(.syn), to: small).to == current)

    var (to, events) = try send(newcomer.packet(.syn), to: small)
    #expect(to == previous)
    #expect(events == Events(toPrevious: 1, notWritten: 1))
    (to, events) = try send(newcomer.packet(), to: small)
    #expect(to == previous)
    #expect(events == Events(toPrevious: 1, notWritten: 1))

    (to, events) = try send(owner.packet(), to: small)
    #expect(to == current, "what is written stays: nothing is evicted")
    #expect(events == Events(found: 1))

    small.setSlots(of: 1, to: [slot_word(current, previous, .SLOT_CHANGED, 0 &- (learn + 1))])
    for flags in [TCPFlags.syn, .ack] {
      (to, events) = try send(newcomer.packet(flags), to: small)
      #expect(to == current)
      #expect(events == Events(notWritten: 1))
    }
    #expect(try small.flows.entries().count == 1)
  }
}

/// What is remembered of a flow. Age in ticks since it was last seen.
private struct Entry: Equatable {
  var backend, generation, age: UInt32
  var flags: UInt32

  init(_ backend: UInt32, generation: UInt32, age: UInt32 = 0, flags: Int32 = 0) {
    self.backend = backend
    self.generation = generation
    self.age = age
    self.flags = UInt32(bitPattern: flags)
  }

  init(_ flow: flow) {
    self.init(
      flow.backend, generation: flow.generation, age: 0 &- flow.last_seen,
      flags: Int32(bitPattern: flow.flags))
  }
}

/// What happened to the flow table.
private struct Events: Equatable {
  var found: UInt64 = 0
  var started: UInt64 = 0
  var learned: UInt64 = 0
  var toPrevious: UInt64 = 0
  var notWritten: UInt64 = 0
}

extension Events {
  init(_ counts: Counts) {
    self.init(
      found: counts[.FLOW_FOUND], started: counts[.FLOW_STARTED], learned: counts[.FLOW_LEARNED],
      toPrevious: counts[.FLOW_TO_PREVIOUS], notWritten: counts[.FLOW_NOT_WRITTEN])
  }
}
