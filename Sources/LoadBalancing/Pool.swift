// SPDX-License-Identifier: Apache-2.0

/// The administrative state of a backend.
public enum AdministrativeState: String, Hashable, Sendable, CaseIterable {
  /// Gets new flows.
  case ready
  /// Gets no new flows; existing ones continue.
  case drain
  /// Gets no packets.
  case maint
}

/// The share of new flows, relative to the other backends of the pool. 0: no new flows.
public typealias Weight = Int

/// A host that serves clients.
public struct Backend: Hashable, Sendable {
  /// Unique within its pool.
  public var name: String
  public var address: IPAddress
  public var weight: Weight
  public var state: AdministrativeState
  /// Whether it is in use: because it is healthy, or because a floor or guard keeps it.
  public var isInUse: Bool

  public init(
    name: String, address: IPAddress, weight: Weight = 100, state: AdministrativeState = .ready,
    isInUse: Bool = true
  ) {
    self.name = name
    self.address = address
    self.weight = weight
    self.state = state
    self.isInUse = isInUse
  }

  /// Whether new flows may be given to it.
  public var takesNewFlows: Bool { state == .ready && weight > 0 && isInUse }
  /// Whether packets of existing flows may go to it. A draining backend keeps its flows even if its checks fail,
  /// because they would certainly break elsewhere.
  public var isUsable: Bool { state == .drain || state == .ready && isInUse }
}

/// The fields of a packet that select its slot.
public enum HashFields: String, Hashable, Sendable, CaseIterable {
  /// Addresses, ports and protocol.
  case flow
  /// The client's address: all flows of a client reach one backend.
  case source
}

/// The conditions that end a drain.
public struct Drain: Hashable, Sendable {
  /// The time in seconds after which a backend that left the configuration is released, even with flows.
  public var timeout: Int
  /// The time in seconds without a new flow of the backend after which the drain ends. A connection that sends two
  /// packets within it, three seconds or more apart, keeps the drain open.
  public var quiet: Int

  public init(timeout: Int = 7200, quiet: Int = 60) {
    self.timeout = timeout
    self.quiet = quiet
  }

  /// The shortest duration of a drain, in seconds: before it, even a busy flow may not be confirmed yet.
  public static let shortest = 5

  /// Whether a drain has ended: the backend has no flow, and there was no new one for `quiet` seconds.
  /// - Parameters:
  ///   - flows: live flows that are confirmed.
  ///   - lastNew: seconds since one was last confirmed, or could not be written; nil: never.
  ///   - elapsed: seconds since the drain began. What was before does not tell who comes after.
  public static func isOver(flows: Int, lastNew: Double?, after elapsed: Double, quiet: Int) -> Bool {
    flows == 0 && elapsed > Double(shortest) && min(elapsed, lastNew ?? elapsed) > Double(quiet)
  }
}

/// The number of backends of a pool that must get new flows. Changes that leave fewer need `--force`.
public enum Requirement: Hashable, Sendable, CustomStringConvertible {
  case backends(Int)
  /// Of the pool's backends, rounded up.
  case percent(Int)

  /// The number that a pool of `backends` needs.
  public func count(of backends: Int) -> Int {
    switch self {
    case .backends(let count): count
    case .percent(let share): (backends * share + 99) / 100
    }
  }

  public var description: String {
    switch self {
    case .backends(let count): "\(count)"
    case .percent(let share): "\(share)%"
    }
  }
}

/// A named set of backends, with one forwarding table.
public struct Pool: Hashable, Sendable {
  public var name: String
  public var backends: [Backend]
  public var hash: HashFields
  /// Slots of the forwarding table. A prime, so that every backend's preference order visits each slot.
  public var tableSize: Int
  public var encapsulation: Encapsulation
  /// Seconds after which a changed slot settles. Of the pool, because a slot has one state whichever service asks.
  public var settle: Int
  public var drain: Drain
  public var require: Requirement
  public var health: HealthPolicy

  public init(
    name: String, backends: [Backend], hash: HashFields = .flow, tableSize: Int = Pool.defaultTableSize,
    encapsulation: Encapsulation = Encapsulation(), settle: Int = Pool.defaultSettle, drain: Drain = Drain(),
    require: Requirement = .backends(0), health: HealthPolicy = HealthPolicy()
  ) {
    self.name = name
    self.backends = backends
    self.hash = hash
    self.tableSize = tableSize
    self.encapsulation = encapsulation
    self.settle = settle
    self.drain = drain
    self.require = require
    self.health = health
  }

  public static let defaultTableSize = 65_537
  /// A backend's place among its pool's has 16 bits in the packet path.
  public static let maximumBackends = 65_536
  public static let defaultSettle = 7200

  public func backend(named name: String) -> Backend? { backends.first { $0.name == name } }
}
