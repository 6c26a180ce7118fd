// SPDX-License-Identifier: Apache-2.0
import ForwardingModel
import TestSupport

/// What happens to a forwarder in a while: packets, and what the daemon does.
struct History: Sendable {
  var settings: HistorySettings
  var events: [HistoryEvent]
}

/// Times in ticks.
struct HistorySettings: Sendable {
  var learn, udpIdle, tcpIdle, settle: Int
}

enum HistoryEvent: Sendable {
  case packet(flow: Int, Shape)
  case pass(Int)
  /// A table with these owners.
  case publish(pool: Int, [Int])
  case usable(Int, Bool)
  case draining(Int, Bool)
  case recycle(Int)
  case sweep
  case markSettled
  case affinity(service: Int, Affinity)
  case resets(service: Int, Bool)
  case move(service: Int, pool: Int)
  case moveEnds(service: Int)
}

/// A packet of a flow, whichever.
struct Shape: Hashable, Sendable {
  var flags: TCPFlags = []
  var hasPayload = false
  /// An ICMP error that speaks of the flow.
  var isError = false

  func kind(_ transport: IPProtocol) -> PacketKind {
    if isError { return .error }
    if transport == .udp { return .datagram }
    return PacketKind(
      syn: flags.contains(.syn), ack: flags.contains(.ack), fin: flags.contains(.fin),
      reset: flags.contains(.rst), payload: hasPayload)
  }

  static let syn = Shape(flags: .syn)
  static let acknowledgement = Shape(flags: .ack)
}

// MARK: - Random histories

extension History {
  /// - Parameter floodCount: how many packets a flood has.
  static func random(_ world: HistoryWorld, floodCount: Int, using random: inout SplitMix64) -> History {
    let learn = [0, 5, 30, 100].randomElement(using: &random)!
    let settings = HistorySettings(
      learn: learn, udpIdle: [5, 30].randomElement(using: &random)!,
      tcpIdle: [70, 200, 1000].randomElement(using: &random)!,
      settle: [20, 100, 1000].randomElement(using: &random)!)
    var story = Storyteller(world: world, settings: settings, random: random)
    for _ in 0..<Int.random(in: 10...80, using: &story.random) { story.tell(floodCount: floodCount) }
    random = story.random
    return History(settings: settings, events: story.events)
  }
}

private struct Storyteller {
  let world: HistoryWorld
  let settings: HistorySettings
  var random: SplitMix64
  var events: [HistoryEvent] = []
  /// Few flows, so that each of them meets much.
  let cast: [Int]

  init(world: HistoryWorld, settings: HistorySettings, random: SplitMix64) {
    var random = random
    let regular = world.regularFlows
    self.world = world
    self.settings = settings
    cast = (0..<6).map { _ in regular.randomElement(using: &random)! }
    self.random = random
  }

  mutating func tell(floodCount: Int) {
    switch Int.random(in: 0..<100, using: &random) {
    case ..<55: events.append(.packet(flow: cast.randomElement(using: &random)!, shape()))
    case ..<67: events.append(.pass(ticks()))
    case ..<77: events.append(publication())
    case ..<83: events.append(.usable(backend(), Bool.random(using: &random)))
    case ..<85: events.append(.draining(backend(), Bool.random(using: &random)))
    case ..<87: events.append(.recycle(backend()))
    case ..<90: events.append(.sweep)
    case ..<91: events.append(.markSettled)
    case ..<92:
      events.append(.affinity(service: service(), [.changes, .all, .none].randomElement(using: &random)!))
    case ..<93: events.append(.resets(service: service(), Bool.random(using: &random)))
    case ..<95:
      events.append(.move(service: service(), pool: world.poolSizes.indices.randomElement(using: &random)!))
    case ..<96: events.append(.moveEnds(service: service()))
    default: flood(floodCount)
    }
  }

  private mutating func shape() -> Shape {
    switch Int.random(in: 0..<20, using: &random) {
    case ..<5: .syn
    case ..<9: .acknowledgement
    case ..<12: Shape(flags: [.ack, .psh], hasPayload: true)
    case ..<14: Shape(flags: [.fin, .ack], hasPayload: Bool.random(using: &random))
    case ..<16: Shape(flags: .rst)
    case ..<17: Shape(isError: true)
    default: Shape(flags: TCPFlags(rawValue: UInt8.random(in: 0..<64, using: &random)))
    }
  }

  /// Around each of the times that mean something.
  private mutating func ticks() -> Int {
    let times = [
      1, 10, 60, settings.learn, settings.udpIdle, settings.settle, settings.tcpIdle, settings.tcpIdle / 2,
    ]
    return max(1, times.randomElement(using: &random)! + Int.random(in: -1...1, using: &random))
  }

  /// A slot or two get another owner, often one that they had.
  private mutating func publication() -> HistoryEvent {
    let pool = world.poolSizes.indices.randomElement(using: &random)!
    let usual = Int.random(in: 1...3, using: &random)
    return .publish(
      pool: pool,
      (0..<world.poolSizes[pool]).map { place in
        Int.random(in: 0..<3, using: &random) == 0 ? owner() : (place + usual) % 3 + 1
      })
  }

  private mutating func owner() -> Int { Int.random(in: 0...HistoryWorld.backendCount, using: &random) }
  private mutating func backend() -> Int { Int.random(in: 1...HistoryWorld.backendCount, using: &random) }
  private mutating func service() -> Int { world.flows[cast.randomElement(using: &random)!].service }

  private mutating func flood(_ count: Int) {
    let flows = world.floodFlows(of: service())
    let shape = [.syn, .syn, .acknowledgement].randomElement(using: &random)! as Shape
    for _ in 0..<count { events.append(.packet(flow: flows.randomElement(using: &random)!, shape)) }
  }
}
