// SPDX-License-Identifier: Apache-2.0

/// What the operator wants of a backend.
public enum AdministrativeState: String, Hashable, Sendable, CaseIterable {
  /// Takes new flows.
  case ready
  /// Takes no new flows; its old ones live on.
  case drain
  /// Takes nothing, at once.
  case maint
}

/// Share of new flows, relative to the other backends of the pool. 0 takes no new flows.
public typealias Weight = Int

/// A machine that answers.
public struct Backend: Hashable, Sendable {
  /// Unique within its pool.
  public var name: String
  public var address: IPAddress
  public var weight: Weight
  public var state: AdministrativeState
  /// Whether its health, or a floor or guard against it, lets it be used.
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
  /// Whether packets of old flows may go to it. One that drains keeps its flows even when its checks fail: they would
  /// break for certain elsewhere.
  public var isUsable: Bool { state == .drain || state == .ready && isInUse }
}

/// How packets reach the backends of a pool.
public struct Encapsulation: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// The packet in a bare IP header of the backend's family (RFC 2003, 2473, 4213).
    case ipip
  }

  public var kind: Kind
  /// Where outer source addresses are taken from, per family; the bits after the prefix carry the flow's entropy,
  /// so that the backend's NIC spreads flows over its queues. nil: the address of the balancer's interface.
  public var source4: IPPrefix?
  public var source6: IPPrefix?

  public init(kind: Kind = .ipip, source4: IPPrefix? = nil, source6: IPPrefix? = nil) {
    self.kind = kind
    self.source4 = source4
    self.source6 = source6
  }

  public func source(_ family: AddressFamily) -> IPPrefix? { family == .v4 ? source4 : source6 }

  /// What of it matters for a backend of this family.
  public func towards(_ family: AddressFamily) -> Encapsulation {
    Encapsulation(kind: kind, source4: family == .v4 ? source4 : nil, source6: family == .v6 ? source6 : nil)
  }
}

/// What of a packet selects its slot.
public enum HashFields: String, Hashable, Sendable, CaseIterable {
  /// Addresses, ports and protocol.
  case flow
  /// The client's address: all flows of a client reach one backend.
  case source
}

/// When the drain of a backend is over.
public struct Drain: Hashable, Sendable {
  /// Seconds after which a backend that left the configuration is let go, whatever flows it has.
  public var timeout: Int
  /// Seconds in which no flow of the backend may have turned up that was unknown before. A connection that is heard
  /// twice within them, three seconds or more apart, keeps the drain open.
  public var quiet: Int

  public init(timeout: Int = 7200, quiet: Int = 60) {
    self.timeout = timeout
    self.quiet = quiet
  }

  /// Seconds that every drain takes: until then a flow that is heard all the time may not be confirmed yet.
  public static let shortest = 5

  /// Whether a drain is over: its backend has no flow, and for `quiet` seconds none turned up.
  /// - Parameters:
  ///   - flows: live flows that are confirmed.
  ///   - lastNew: seconds since one was last confirmed, or could not be written; nil: never.
  ///   - elapsed: seconds since the drain began. What was before does not tell who comes after.
  public static func isOver(flows: Int, lastNew: Double?, after elapsed: Double, quiet: Int) -> Bool {
    flows == 0 && elapsed > Double(shortest) && min(elapsed, lastNew ?? elapsed) > Double(quiet)
  }
}

/// How many backends of a pool must take new flows: fewer are left only where the operator insists.
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
