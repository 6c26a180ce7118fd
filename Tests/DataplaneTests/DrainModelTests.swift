// SPDX-License-Identifier: Apache-2.0
import ForwardingModel
import LoadBalancing
import TestSupport
import Testing

/// The promise of a drain, in the model: it waits for connections that are heard twice within `quiet`, and for no strays.
@Suite("Drains in the model")
struct DrainModelTests {
  private static let slotCount = 251
  private static let quiet = 60
  private static let ending = 10
  /// A drained backend with connections, one without, and who takes over.
  private let busy = 1, lonely = 2, successor = 3

  private struct Connection {
    var flow: ModelFlow
    /// Ticks between two packets.
    var period: Int
    var next: Int
    var end: Int
  }

  private func connections(_ transport: Transport, using random: inout SplitMix64) -> [Connection] {
    (0..<200).map { number in
      let period = number % 2 == 0 ? 1 : Int.random(in: 3...(Self.quiet / 2 - 1), using: &random)
      // On the slots of the busy backend.
      let place = Int.random(in: 0..<(Self.slotCount / 3), using: &random) * 3
      return Connection(
        flow: ModelFlow(number, transport, places: [place]), period: period,
        next: Int.random(in: 1...period, using: &random), end: Int.random(in: 1...200, using: &random))
    }
  }

  private func owners(_ drained: Bool) -> [Int] {
    (0..<Self.slotCount).map { drained ? successor : [busy, lonely, successor][$0 % 3] }
  }

  private func model(_ seed: UInt64) -> ForwardingModel {
    var service = ModelService(pool: 0, learn: 7200, udpIdle: 60, tcpIdle: 7200)
    service.resets = seed % 2 == 0
    var model = ForwardingModel(
      backends: (0...3).map { _ in ModelBackend() },
      pools: [ModelPool(owners(false), settle: 7200)], services: [service])
    model.capacity = 1_000_000
    model.newPerTick = model.capacity / 64
    model.learnedPerTick = model.capacity / 128
    return model
  }

  @Test(
    "0 of 200 connections are cut, and the drain ends in time, under 100 strays a second of each kind",
    arguments: [Transport.tcp, .udp], [1, 2, UInt64.random(in: 0..<1_000_000_000)])
  func strays(_ transport: Transport, _ seed: UInt64) {
    print("Drains in the model: seed \(seed)")
    var random = SplitMix64(seed: seed)
    var model = model(seed)
    var connections = connections(transport, using: &random)
    var places: [Int: ModelFlow] = [:]
    var strayCount = 0
    model.publish(owners(true), pool: 0)
    for backend in [busy, lonely] { model.backends[backend].isDraining = true }
    let last = connections.map(\.end).max()!
    var lonelyEnd: Int?
    var busyEnd: Int?

    func isOver(_ backend: Int) -> Bool {
      let flows = model.flowsLeft(backend) { (0, places[$0]!) }
      return Drain.isOver(
        flows: flows, lastNew: model.lastUnknown[backend].map { Double(model.now - $0) },
        after: Double(model.now),
        quiet: Self.quiet)
    }

    while busyEnd == nil, model.now < last + Self.quiet + 60 {
      model.pass(1)
      let kinds = [.acknowledgement, .data, .segment(reset: true), .odd, .error, .datagram] as [PacketKind]
      for kind in kinds {
        for _ in 0..<100 {
          strayCount += 1
          let flow = ModelFlow(
            1000 + strayCount, kind == .datagram ? .udp : .tcp,
            places: [Int.random(in: 0..<Self.slotCount, using: &random)])
          places[flow.number] = flow
          _ = model.decide(kind, of: flow, for: 0)
        }
      }
      for index in connections.indices where connections[index].next == model.now {
        let connection = connections[index]
        guard model.now <= connection.end else { continue }
        places[connection.flow.number] = connection.flow
        connections[index].next += connection.period
        let isLast = connections[index].next > connection.end && transport == .tcp
        let kind = isLast ? .segment(fin: true) : transport == .udp ? .datagram : PacketKind.acknowledgement
        #expect(model.decide(kind, of: connection.flow, for: 0) == .backend(busy))
      }
      guard model.now % 5 == 0 else { continue }
      if lonelyEnd == nil, isOver(lonely) { lonelyEnd = model.now }
      if isOver(busy) { busyEnd = model.now }
    }
    let spoken = connections.filter { $0.next > $0.period }.map { $0.next - $0.period }.max()!
    #expect(lonelyEnd.map { $0 <= Self.quiet + 10 } == true, "\(lonelyEnd as Any)")
    #expect(busyEnd.map { $0 > spoken } == true, "over at \(busyEnd as Any), last heard at \(spoken)")
    let idle = transport == .udp ? 60 : Self.ending
    #expect(busyEnd.map { $0 <= spoken + max(idle, Self.quiet) + 10 } == true, "\(busyEnd as Any), \(spoken)")
  }
}
