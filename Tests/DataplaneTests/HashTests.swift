// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// A service in front of `count` backends, a slot for each, so that a packet's next hop shows its slot.
private func revealing(_ count: UInt32, keys: [UInt64] = Scenario.keys(1), hash: hash_fields = .HASH_FLOW)
  -> Scenario
{
  var scenario = Scenario(hashKeys: keys)
  scenario.backends = (1...count).map { number in
    TestBackend(
      number, ip("10.0.0.1"), source: ip("10.9.0.0"), entropyBits: 16,
      nextHop: HardwareAddress(word: 0x02 | UInt64(number) << 16))
  }
  scenario.pools = [TestPool(1, slots: (1...count).map { slot_word($0, 0, .SLOT_STABLE, 0) }, hash: hash)]
  for family in AddressFamily.allCases {
    for transport in [IPProtocol.tcp, .udp] {
      scenario.services.append(
        TestService(UInt32(scenario.services.count + 1), family.anyPortVIP, 0, transport, pool: 1))
    }
  }
  return scenario
}

extension ForwarderFixture {
  /// Which slot the program chose for a flow. `frame` is a packet of the flow's kind, rewritten in place; its
  /// checksums are nobody's business here.
  fileprivate func slot(of flow: Flow, frame: inout [UInt8], output: inout [UInt8]) throws -> Int {
    let client = flow.client.octets
    let isV4 = client.count == 4
    frame.replaceSubrange((isV4 ? 26 : 22)..<(isV4 ? 30 : 38), with: client)
    let ports = isV4 ? 34 : 54
    frame.replaceSubrange(
      ports..<(ports + 4),
      with: [
        UInt8(flow.clientPort >> 8), UInt8(flow.clientPort & 0xff), UInt8(flow.servicePort >> 8),
        UInt8(flow.servicePort & 0xff),
      ])
    let outcome = try program.testRun(input: frame, output: &output)
    try #require(outcome.returnValue == Action.transmit)
    return Int(output[2]) + Int(output[3]) << 8 - 1
  }
}

extension Flow {
  fileprivate var frame: [UInt8] {
    let packet = Packet.ethernet().ip(from: client, to: vip)
    return transport == .tcp
      ? packet.tcp(from: clientPort, to: servicePort).bytes
      : packet.udp(from: clientPort, to: servicePort).bytes
  }

  /// A flow towards the any-port VIP that no client is forbidden.
  fileprivate static func random(
    _ family: AddressFamily, _ transport: IPProtocol, _ random: inout SplitMix64
  ) -> Flow {
    let bits = random.next()
    let client =
      family == .v4
      ? IPAddress(family: .v4, bits: UInt128(bits & 0x3fff_ffff | 0x8000_0000))
      : IPAddress(family: .v6, bits: UInt128(0x2001_0db8) << 96 | UInt128(bits))
    let ports = random.next()
    return Flow(
      from: client, UInt16(truncatingIfNeeded: ports), to: family.anyPortVIP,
      UInt16(truncatingIfNeeded: ports >> 16),
      transport)
  }
}

@Suite("Flow hash")
struct HashTests {
  @Test("known values: every balancer of a fleet, of whatever version, has them")
  func golden() {
    // Computed apart from this code, from the definition in flow_hash.h.
    let keys = Scenario.keys(1)
    let v4 = Flow(from: ip("192.0.2.7"), 40000, to: ip("198.51.100.10"), 80)
    let v6 = Flow(from: ip("2001:db8:c::7"), 40000, to: ip("2001:db8:f::10"), 443, .udp)
    #expect(keys[0] == 0x910a_2dec_8902_5cc1 && keys[10] == 0x6775_dc77_0156_4f61)
    #expect(keys[11] == 0x9afc_d44d_14cf_8bfe)
    #expect(v4.hash(keys) == 828_912_047)
    #expect(v6.hash(keys) == 3_115_865_814)
    #expect(v4.hash(keys, sourceOnly: true) == 414_907_221)
    #expect(v6.hash(keys, sourceOnly: true) == 2_070_835_890)
  }

  @Test("the ABI's function is the one that its header states", arguments: AddressFamily.allCases)
  func definition(_ family: AddressFamily) {
    var random = SplitMix64(seed: 3)
    let keys = Scenario.keys(4)
    for _ in 0..<1000 {
      let flow = Flow.random(family, .tcp, &random)
      #expect(flow.hash(keys) == stated(flow, keys))
    }
  }

  /// The hash from its definition: words as a little-endian CPU reads them from the packet.
  private func stated(_ flow: Flow, _ keys: [UInt64]) -> UInt32 {
    func words(_ octets: [UInt8]) -> [UInt64] {
      stride(from: 0, to: octets.count, by: 4).map { start in
        (0..<4).reduce(0) { $0 | UInt64(octets[start + $1]) << (8 * UInt64($1)) }
      }
    }
    let ports = [flow.clientPort, flow.servicePort].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    let all =
      words(flow.client.octets) + words(flow.vip.octets) + words(ports) + [UInt64(flow.transport.number)]
    let sum = zip(keys.dropFirst(), all).reduce(keys[0]) { $0 &+ $1.0 &* $1.1 }
    return UInt32(((sum ^ sum >> 32) &* keys[11]) >> 32)
  }

  @Test(
    "the program's slot is the one that Swift computes", arguments: [hash_fields.HASH_FLOW, .HASH_SOURCE])
  func agreement(_ fields: hash_fields) throws {
    let forwarder = try makeForwarder(revealing(251, hash: fields))
    var random = SplitMix64(seed: 5)
    var output = [UInt8](repeating: 0, count: 256)
    for family in AddressFamily.allCases {
      for transport in [IPProtocol.tcp, .udp] {
        var frame = Flow.random(family, transport, &random).frame
        for _ in 0..<2000 {
          let flow = Flow.random(family, transport, &random)
          let slot = try forwarder.slot(of: flow, frame: &frame, output: &output)
          #expect(slot == flow.slot(forwarder.scenario.hashKeys, of: 251, sourceOnly: fields == .HASH_SOURCE))
        }
      }
    }
  }

  @Test("P16 an ICMP error goes where its flow goes", arguments: AddressFamily.allCases)
  func errors(_ family: AddressFamily) throws {
    let forwarder = try makeForwarder(revealing(251))
    var random = SplitMix64(seed: 11)
    for _ in 0..<200 {
      let flow = Flow.random(family, .udp, &random)
      let error = Packet.ethernet().ip(from: family.routerOnTheWay, to: flow.vip)
        .icmp(type: family == .v4 ? 11 : 3)
        .quoting(.bare.ip(from: flow.vip, to: flow.client).udp(from: flow.servicePort, to: flow.clientPort))
      let run = try forwarder.run(error.bytes)
      #expect(run.action == Action.transmit)
      #expect(
        Int(run.output[2]) + Int(run.output[3]) << 8 - 1 == flow.slot(forwarder.scenario.hashKeys, of: 251))
    }
  }

  @Test("hashing the client alone, all its flows have one slot", arguments: AddressFamily.allCases)
  func oneClient(_ family: AddressFamily) throws {
    let forwarder = try makeForwarder(revealing(251, hash: .HASH_SOURCE))
    var output = [UInt8](repeating: 0, count: 256)
    var slots: Set<Int> = []
    for port in stride(from: 1 as UInt16, to: 60000, by: 997) {
      for transport in [IPProtocol.tcp, .udp] {
        let flow = Flow(from: family.client, port, to: family.anyPortVIP, port &+ 7, transport)
        var frame = flow.frame
        slots.insert(try forwarder.slot(of: flow, frame: &frame, output: &output))
      }
    }
    #expect(slots.count == 1)
  }

  @Test("entropy stays within the source prefix, is a flow's own, and differs among those of a backend")
  func entropy() throws {
    let forwarder = try makeForwarder(revealing(4))
    var random = SplitMix64(seed: 6)
    var sources: Set<[UInt8]> = []
    for _ in 0..<500 {
      let frame = Flow.random(.v4, .tcp, &random).frame
      let first = try forwarder.run(frame).output
      let again = try forwarder.run(frame + [1, 2, 3]).output
      #expect(Array(first[26..<28]) == [10, 9])
      #expect(first[26..<30] == again[26..<30])
      if first[2] == 1 { sources.insert(Array(first[28..<30])) }
    }
    #expect(sources.count > 100, "flows of one slot, too, spread over the receiver's queues")
  }

  /// Random flows, and flows as one client makes them: consecutive ports.
  @Test("65,536 flows spread evenly", arguments: AddressFamily.allCases, [true, false])
  func distribution(_ family: AddressFamily, _ isRandom: Bool) throws {
    let backends = 64
    let count = 65536
    let forwarder = try makeForwarder(revealing(UInt32(backends)))
    var random = SplitMix64(seed: 7)
    var output = [UInt8](repeating: 0, count: 256)
    var frame = Flow.random(family, .tcp, &random).frame
    var shares = [Int](repeating: 0, count: backends)
    for index in 0..<count {
      var flow = Flow.random(family, .tcp, &random)
      if !isRandom { flow = Flow(from: family.client, UInt16(index), to: family.anyPortVIP, 443) }
      shares[try forwarder.slot(of: flow, frame: &frame, output: &output)] += 1
    }
    let mean = Double(count / backends)
    let chiSquare = shares.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) / mean }
    // 63 degrees of freedom: above 118 once in 33,000 seeds if flows were thrown like dice.
    #expect(chiSquare < 118)
    print(
      "\(family), \(isRandom ? "random" : "consecutive ports"): chi-square \(chiSquare), worst \(shares.max()!)"
    )
  }

  @Test(
    "A4 flows chosen to hit one backend under one seed spread under another",
    arguments: AddressFamily.allCases)
  func flooding(_ family: AddressFamily) throws {
    let backends: UInt32 = 8
    let count = 8192
    let known = Scenario.keys(8)
    let secret = Scenario.keys(9)
    var random = SplitMix64(seed: 10)
    var flows: [Flow] = []
    while flows.count < count {
      let flow = Flow.random(family, .tcp, &random)
      if flow.slot(known, of: backends) == 3 { flows.append(flow) }
    }
    func shares(_ keys: [UInt64]) throws -> [Int] {
      let forwarder = try makeForwarder(revealing(backends, keys: keys))
      var output = [UInt8](repeating: 0, count: 256)
      var frame = flows[0].frame
      var shares = [Int](repeating: 0, count: Int(backends))
      for flow in flows { shares[try forwarder.slot(of: flow, frame: &frame, output: &output)] += 1 }
      return shares
    }
    #expect(try shares(known)[3] == count, "who knows the seed aims")
    let worst = Double(try shares(secret).max()!) / Double(count / Int(backends))
    #expect(worst <= 1.2)
    print("\(family), flooding: worst share \(worst) of the average")
  }
}
