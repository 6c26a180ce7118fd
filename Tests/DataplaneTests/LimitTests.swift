// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Glibc
import LoadBalancing
import TestSupport
import Testing

/// What one sender can make the balancer do in a tick (P15, P17, A8).
@Suite("Limits of ICMP work", .serialized)
struct LimitTests {
  private static let limit: UInt32 = 10
  private static let forwarder = Result {
    var scenario = Scenario.standard
    scenario.answersPerTick = limit
    return try makeForwarder(scenario)
  }

  /// A packet of each kind of work, and what becomes of it within and beyond the limit.
  private struct Work {
    var packet: Packet
    var within, beyond: verdict
  }

  /// "Fragmentation needed" with an MTU that few paths have.
  private static let narrow = Packet.ethernet().ip(
    from: AddressFamily.v4.routerOnTheWay, to: AddressFamily.v4.vip
  )
  .icmp(type: 3, code: 4, rest: 296)
  .quoting(.bare.ip(from: AddressFamily.v4.vip, to: AddressFamily.v4.client).tcp(from: Port.v4, to: 40000))

  private static func kinds(_ family: AddressFamily) -> [Work] {
    let echo = Packet.toVIP(family).echoRequest()
    let tooBig = Packet.toVIP(family).tcp(from: 40000, to: Port.smallMTUv4).payload(1400)
    let error = Packet.ethernet().ip(from: family.routerOnTheWay, to: family.vip)
      .icmp(type: family == .v4 ? 3 : 2, code: family == .v4 ? 4 : 0, rest: 1400)
      .quoting(.bare.ip(from: family.vip, to: family.client).tcp(from: Port.v4, to: 40000))
    let unserved = Packet.syn(family, to: Port.unserved)
    return [
      Work(packet: unserved, within: .VERDICT_ANSWERED_UNSERVED, beyond: .VERDICT_DROPPED_UNSERVED),
      Work(packet: echo, within: .VERDICT_ANSWERED_ECHO, beyond: .VERDICT_DROPPED_RATE_LIMITED),
      Work(packet: tooBig, within: .VERDICT_ANSWERED_TOO_BIG, beyond: .VERDICT_DROPPED_TOO_BIG),
      Work(packet: error, within: .VERDICT_FORWARDED, beyond: .VERDICT_DROPPED_RATE_LIMITED),
    ]
      + (family == .v4
        ? [Work(packet: narrow, within: .VERDICT_FORWARDED, beyond: .VERDICT_DROPPED_ICMP_MTU)] : [])
  }

  @Test(
    "P15 P17 each kind of ICMP work has a limit of its own per CPU and tick",
    arguments: AddressFamily.allCases)
  func limits(_ family: AddressFamily) throws {
    let forwarder = try Self.forwarder.get()
    try forwarder.spendAnswerBudgets(tick: 0, used: 0)
    let cpus = UInt64(try possibleCPUCount())
    for work in Self.kinds(family) {
      let before = try forwarder.counts()
      let frame = work.packet.bytes
      for _ in 0..<(UInt64(Self.limit) * cpus + 50) { _ = try forwarder.program.testRun(input: frame) }
      let counts = try forwarder.counts() - before
      // The scheduler may spread the runs over all CPUs.
      #expect((UInt64(Self.limit)...UInt64(Self.limit) * cpus).contains(counts[work.within].packets))
      #expect(counts[work.within].packets + counts[work.beyond].packets == UInt64(Self.limit) * cpus + 50)
    }
  }

  /// A source of the given number's network: a /24 or a /48.
  private static func source(_ network: Int, _ host: UInt8, _ family: AddressFamily) -> IPAddress {
    family == .v4
      ? .v4(20, UInt8(network >> 8), UInt8(network & 255), host)
      : IPAddress(family: .v6, bits: UInt128(0x2001_0db9_0000 | network) << 80 | UInt128(host) << 64 | 1)
  }

  /// A packet of each kind of work from a source.
  private static func work(_ family: AddressFamily, from source: IPAddress) -> [Work] {
    let start = Packet.ethernet().ip(from: source, to: family.vip)
    let error = start.icmp(type: family == .v4 ? 3 : 2, code: family == .v4 ? 4 : 0, rest: 1400)
      .quoting(.bare.ip(from: family.vip, to: family.client).tcp(from: Port.v4, to: 40000))
    return [
      Work(
        packet: start.echoRequest(), within: .VERDICT_ANSWERED_ECHO, beyond: .VERDICT_DROPPED_RATE_LIMITED),
      Work(
        packet: start.tcp(from: 40000, to: Port.smallMTUv4).payload(1400), within: .VERDICT_ANSWERED_TOO_BIG,
        beyond: .VERDICT_DROPPED_TOO_BIG),
      Work(packet: error, within: .VERDICT_FORWARDED, beyond: .VERDICT_DROPPED_RATE_LIMITED),
      Work(
        packet: start.udp(from: 40000, to: Port.unserved), within: .VERDICT_ANSWERED_UNSERVED,
        beyond: .VERDICT_DROPPED_UNSERVED),
    ]
  }

  @Test(
    "a flood from one network leaves the others their answers, of each kind",
    arguments: AddressFamily.allCases)
  func networks(_ family: AddressFamily) throws {
    let share = 20
    var scenario = Scenario.standard
    scenario.answersPerTick = 200
    scenario.answersPerNetwork = UInt32(share)
    let forwarder = try makeForwarder(scenario)
    func answered(_ networks: some Sequence<Int>, kind: Int) throws -> Int {
      let (before, work) = (try forwarder.counts(), Self.work(family, from: family.client)[kind])
      var sent: UInt64 = 0
      for network in networks {
        let source = Self.source(network, UInt8(sent % 200 + 1), family)
        _ = try forwarder.program.testRun(input: Self.work(family, from: source)[kind].packet.bytes)
        sent += 1
      }
      let counts = try forwarder.counts() - before
      #expect(counts[work.within].packets + counts[work.beyond].packets == sent)
      return Int(counts[work.within].packets)
    }
    for kind in Self.work(family, from: family.client).indices {
      let answers = try onOneCPU { () throws -> [Int] in
        [
          try answered(repeatElement(0, count: 400), kind: kind), try answered(1...100, kind: kind),
          try answered(repeatElement(300, count: 400), kind: kind),
        ]
      }
      #expect(answers[0] == share, "the flood, kind \(kind)")
      // Some network may share the flood's bucket.
      #expect(answers[1] >= 97, "of 100 honest ones, kind \(kind)")
      #expect(answers[2] <= share, "another flood, kind \(kind)")
    }
  }

  @Test("the next tick brings a new allowance")
  func nextTick() throws {
    let forwarder = try Self.forwarder.get()
    let frame = Packet.toVIP(.v4).echoRequest().bytes
    for _ in 0..<200 { _ = try forwarder.program.testRun(input: frame) }
    try forwarder.spendAnswerBudgets(tick: .max, used: Self.limit)
    #expect(try forwarder.run(frame).counts.risen.keys.first == .VERDICT_ANSWERED_ECHO)
  }

  @Test("packets of services know no limit")
  func services() throws {
    let forwarder = try Self.forwarder.get()
    try forwarder.spendAnswerBudgets(tick: 0, used: Self.limit)
    #expect(try forwarder.run(Packet.syn(.v4).bytes).action == Action.transmit)
    #expect(try forwarder.run(Packet.toVIP(.v4).echoRequest().bytes).action == Action.drop)
  }

  @Test("P12 an interface whose address is not known yet owns no frame", arguments: AddressFamily.allCases)
  func noInterfaceAddress(_ family: AddressFamily) throws {
    var scenario = Scenario.standard
    scenario.interface = 0
    let run = try makeForwarder(scenario).run(Packet.syn(family).bytes)
    #expect(Array(run.counts.risen.keys) == [.VERDICT_PASSED_OTHER_HOST])
  }
}
