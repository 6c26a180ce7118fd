// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

/// What the tests of the flow table have in common: backends, ports and times.
enum FlowTableWorld {
  /// The owner before a change, the one after it, and a third.
  static let previous: UInt32 = 11
  static let current: UInt32 = 12
  static let third: UInt32 = 13
  static let tcpPort: UInt16 = 80
  static let trackingPort: UInt16 = 81
  static let forgetfulPort: UInt16 = 82
  static let learn: UInt32 = 100
  static let udpIdle: UInt32 = 30
  static let tcpIdle: UInt32 = 1000
  static let settle: UInt32 = 1000

  /// One slot for all flows, so that each test says which state they meet.
  static func scenario(flowEntries: UInt32 = 64) -> Scenario {
    var scenario = Scenario()
    scenario.flowEntries = flowEntries
    scenario.backends = [
      TestBackend(
        previous, ip("10.0.0.11"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0b", generation: 7),
      TestBackend(
        current, ip("10.0.0.12"), source: ip("10.9.1.1"), nextHop: "02:00:00:00:01:0c", generation: 8),
      TestBackend(
        third, ip("fd00::13"), source: ip("fd00:9::1"), nextHop: "02:00:00:00:01:0d", generation: 9),
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
}

extension AddressFamily {
  func flow(
    _ port: UInt16 = FlowTableWorld.tcpPort, _ transport: IPProtocol = .tcp, from clientPort: UInt16 = 40000
  ) -> Flow {
    Flow(from: client, clientPort, to: vip, port, transport)
  }
}

extension Flow {
  func packet(_ flags: TCPFlags = .ack) -> Packet {
    let packet = Packet.ethernet().ip(from: client, to: vip)
    return transport == .tcp
      ? packet.tcp(from: clientPort, to: servicePort, flags: flags)
      : packet.udp(from: clientPort, to: servicePort)
  }
}

/// What is remembered of a flow. Age in ticks since it was last seen.
struct FlowTableEntry: Equatable {
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
struct FlowTableEvents: Equatable {
  var found: UInt64 = 0
  var started: UInt64 = 0
  var learned: UInt64 = 0
  var toPrevious: UInt64 = 0
  var notWritten: UInt64 = 0
}

extension FlowTableEvents {
  init(_ counts: Counts) {
    self.init(
      found: counts[.FLOW_FOUND], started: counts[.FLOW_STARTED], learned: counts[.FLOW_LEARNED],
      toPrevious: counts[.FLOW_TO_PREVIOUS], notWritten: counts[.FLOW_NOT_WRITTEN])
  }
}
