// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import ForwardingModel
import LoadBalancing
import TestSupport

/// Who takes part in histories: two pools that hash differently, seven services of each family, and their flows.
final class HistoryWorld: @unchecked Sendable {
  static let backendCount = 6
  static let flowsPerService = 4
  static let floodFlowsPerService = 24

  struct WorldFlow: Sendable {
    var service: Int
    var flow: Flow
    var model: ModelFlow
  }

  let scenario: Scenario
  let poolSizes = [5, 3]
  private(set) var flows: [WorldFlow] = []
  private var frames: [Frame: [UInt8]] = [:]

  private struct Frame: Hashable {
    var flow: Int
    var shape: Shape
  }

  init(flowEntries: UInt32, newPerTick: UInt32 = .max, learnedPerTick: UInt32 = .max) {
    var scenario = Scenario()
    scenario.flowEntries = flowEntries
    scenario.newPerTick = newPerTick
    scenario.learnedPerTick = learnedPerTick
    scenario.backends = (1...UInt32(Self.backendCount)).map {
      TestBackend($0, ip("10.0.0.\($0)"), source: ip("10.9.1.1"), nextHop: Self.nextHop(of: $0))
    }
    scenario.pools = [
      TestPool(1, slots: Array(repeating: 0, count: poolSizes[0])),
      TestPool(2, slots: Array(repeating: 0, count: poolSizes[1]), hash: .HASH_SOURCE),
    ]
    for family in AddressFamily.allCases {
      for (port, transport, pool) in Self.kinds {
        scenario.services.append(
          TestService(UInt32(scenario.services.count + 1), family.vip, port, transport, pool: pool))
      }
    }
    self.scenario = scenario
    addFlows()
  }

  private static let kinds: [(UInt16, IPProtocol, UInt32)] = [
    (80, .tcp, 1), (81, .tcp, 1), (82, .tcp, 1), (83, .tcp, 2), (84, .tcp, 2), (80, .udp, 1), (81, .udp, 2),
  ]

  private static func nextHop(of backend: UInt32) -> HardwareAddress {
    HardwareAddress(word: 2 | 1 << 32 | UInt64(backend) << 40)
  }

  private func addFlows() {
    for (index, service) in scenario.services.enumerated() {
      for client in 0..<(Self.flowsPerService + Self.floodFlowsPerService) {
        let prefix = service.vip.family == .v4 ? "192.0.2." : "2001:db8:c::"
        let flow = Flow(
          from: ip("\(prefix)\(client + 1)"), UInt16(40000 + client), to: service.vip, service.port,
          service.transport)
        let places = scenario.pools.map { pool in
          flow.slot(
            scenario.hashKeys, of: UInt32(pool.slots.count), sourceOnly: pool.hash == .HASH_SOURCE)
        }
        flows.append(
          WorldFlow(
            service: index, flow: flow,
            model: ModelFlow(
              flows.count, service.transport == .udp ? .udp : .tcp, places: places,
              client: service.vip.family == .v4 ? client : -1 - client)))
      }
    }
  }

  var regularFlows: [Int] {
    flows.indices.filter { $0 % (Self.flowsPerService + Self.floodFlowsPerService) < Self.flowsPerService }
  }

  func floodFlows(of service: Int) -> Range<Int> {
    let first = service * (Self.flowsPerService + Self.floodFlowsPerService) + Self.flowsPerService
    return first..<(first + Self.floodFlowsPerService)
  }

  func frame(_ index: Int, _ shape: Shape) -> [UInt8] {
    let key = Frame(flow: index, shape: shape)
    if let known = frames[key] { return known }
    let frame = flows[index].flow.packet(shape).bytes
    frames[key] = frame
    return frame
  }

  /// Every slot stable.
  func model(_ settings: HistorySettings) -> ForwardingModel {
    var model = ForwardingModel(
      backends: (0...Self.backendCount).map { ModelBackend(pool: $0 % 2) },
      pools: zip(poolSizes, scenario.pools).map { size, pool in
        ModelPool(
          (0..<size).map { $0 % 3 + 1 }, settle: settings.settle, remembersClients: pool.hash == .HASH_SOURCE)
      },
      services: scenario.services.map {
        ModelService(
          pool: Int($0.pool) - 1, learn: settings.learn, udpIdle: settings.udpIdle, tcpIdle: settings.tcpIdle)
      })
    model.capacity = Int(scenario.flowEntries)
    if scenario.newPerTick != .max { model.newPerTick = Int(scenario.newPerTick) }
    if scenario.learnedPerTick != .max { model.learnedPerTick = Int(scenario.learnedPerTick) }
    return model
  }
}

extension Flow {
  fileprivate func packet(_ shape: Shape) -> Packet {
    if shape.isError {
      let isV4 = vip.family == .v4
      let quoted = Packet.bare.ip(from: vip, to: client)
      return .ethernet().ip(from: vip.family.routerOnTheWay, to: vip).icmp(type: isV4 ? 3 : 1)
        .quoting(
          transport == .tcp
            ? quoted.tcp(from: servicePort, to: clientPort) : quoted.udp(from: servicePort, to: clientPort))
    }
    let packet = Packet.ethernet().ip(from: client, to: vip)
    guard transport == .tcp else { return packet.udp(from: clientPort, to: servicePort) }
    let segment = packet.tcp(from: clientPort, to: servicePort, flags: shape.flags)
    return shape.hasPayload ? segment.payload(8) : segment
  }
}
