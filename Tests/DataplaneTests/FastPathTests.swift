// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// The fast path forwards as the general path does: same action, octets and counters for every frame.
@Suite("Fast path", .serialized)
struct FastPathTests {
  /// The same scenario twice, with and without the fast path.
  private struct Both {
    let fast: ForwarderFixture
    let general: ForwarderFixture

    init(_ scenario: Scenario) throws {
      fast = try makeForwarder(scenario)
      general = try makeForwarder(scenario, generalOnly: true)
    }
  }

  private static let standard = Result { try Both(.standard) }
  private static let mixed = Result { try Both(mixedSlots) }

  /// Frames that each scenario gets.
  private static let count = 120_000
  /// After so many frames the counters are compared.
  private static let interval = 500

  /// Pools whose slots are in every state, and services that track flows in every way.
  private static var mixedSlots: Scenario {
    var scenario = Scenario.standard
    let (v4, v6) = (Backend.v4, Backend.v6)
    for index in scenario.pools.indices where scenario.pools[index].number <= 2 {
      scenario.pools[index].slots = [
        slot_word(v4, 0, .SLOT_STABLE, 0), slot_word(v6, v4, .SLOT_CHANGED, 0 &- 5),
        slot_word(v6, 0, .SLOT_STABLE, 0), slot_word(v4, v6, .SLOT_CHANGED, 0 &- 200),
        slot_word(v6, v4, .SLOT_SETTLING, 0 &- 2000), slot_word(0, 0, .SLOT_STABLE, 0),
        slot_word(Backend.fixedSource, 0, .SLOT_STABLE, 0), slot_word(Backend.unusable, 0, .SLOT_STABLE, 0),
      ]
    }
    let affinities: [affinity] = [.AFFINITY_CHANGES, .AFFINITY_CHANGES, .AFFINITY_ALL, .AFFINITY_NONE]
    for index in scenario.services.indices {
      scenario.services[index].affinity = affinities[index % affinities.count]
    }
    return scenario
  }

  @Test("every packet case", arguments: PacketCase.all)
  func packetCase(_ packetCase: PacketCase) throws {
    let both = try Self.standard.get()
    let frame = packetCase.packet.bytes
    let (fast, general) = (try both.fast.run(frame), try both.general.run(frame))
    #expect(fast.action == general.action)
    #expect(hex(fast.output) == hex(general.output))
    #expect(fast.counts == general.counts)
  }

  @Test("mutated frames", arguments: [false, true])
  func mutated(_ isMixed: Bool) throws {
    let both = try (isMixed ? Self.mixed : Self.standard).get()
    let seed = UInt64.random(in: 0...UInt64.max)
    let frames = PacketCase.all.map(\.packet.bytes).filter { $0.count <= 700 }
    var mutator = Mutator(seed: seed)
    var outputs = [[UInt8]](repeating: [UInt8](repeating: 0, count: 4096), count: 2)
    var before = try (both.fast.counts(), both.general.counts())
    var differences = 0
    for index in 1...Self.count {
      let frame = mutator.mutation(of: frames)
      let fast = try both.fast.program.testRun(input: frame, output: &outputs[0])
      let general = try both.general.program.testRun(input: frame, output: &outputs[1])
      if fast.returnValue != general.returnValue || fast.outputCount != general.outputCount
        || fast.returnValue != Action.drop
          && outputs[0][..<fast.outputCount] != outputs[1][..<general.outputCount]
      {
        differences += 1
        if differences < 5 { Issue.record("seed \(seed), frame \(index): \(hex(frame))") }
      }
      guard index % Self.interval == 0 else { continue }
      let after = try (both.fast.counts(), both.general.counts())
      #expect(after.0 - before.0 == after.1 - before.1, "seed \(seed), frames up to \(index)")
      before = after
    }
    #expect(differences == 0)
    #expect(try both.fast.flows.entries().count == both.general.flows.entries().count)
  }

  @Test("the hot slot decides, unless the fast path is off", arguments: AddressFamily.allCases)
  func taken(_ family: AddressFamily) throws {
    let both = try Self.standard.get()
    let frame = Packet.ethernet().ip(from: family.client, to: family.vip).tcp(from: 40000, to: Port.v4).bytes
    for forwarder in [both.fast, both.general] {
      forwarder.setHotSlot(0, of: 1, to: hot_slot(slot_word(Backend.fixedSource, 0, .SLOT_STABLE, 0), 0))
    }
    defer {
      for forwarder in [both.fast, both.general] {
        forwarder.setSlots(of: 1, to: [slot_word(Backend.v4, 0, .SLOT_STABLE, 0)])
      }
    }
    func target(_ forwarder: ForwarderFixture) throws -> [UInt8] {
      Array(try forwarder.run(frame).output.prefix(6))
    }
    let scenario = both.fast.scenario
    #expect(try target(both.fast) == scenario.backend(Backend.fixedSource).nextHop!.octets)
    #expect(try target(both.general) == scenario.backend(Backend.v4).nextHop!.octets)
  }

  @Test("all flows of a client go to one backend where the pool says so", arguments: AddressFamily.allCases)
  func together(_ family: AddressFamily) throws {
    for hash in [hash_fields.HASH_SOURCE, .HASH_FLOW] {
      var scenario = Scenario.standard
      let index = try #require(scenario.pools.firstIndex { $0.hash == .HASH_SOURCE })
      let owners = [Backend.v4, Backend.v6, Backend.fixedSource, Backend.fixedSourceV6]
      scenario.pools[index].slots = owners.map { slot_word($0, 0, .SLOT_STABLE, 0) }
      scenario.pools[index].hash = hash
      let both = try Both(scenario)
      for forwarder in [both.fast, both.general] {
        let targets = try (1...100 as ClosedRange<UInt16>).map { port in
          try forwarder.run(Packet.toVIP(family).tcp(from: port, to: Port.sourceHash).bytes).output.prefix(6)
        }
        #expect(Set(targets).count == (hash == .HASH_SOURCE ? 1 : owners.count))
      }
    }
  }
}
