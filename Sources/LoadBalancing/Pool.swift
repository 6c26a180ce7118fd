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

  public init(name: String, address: IPAddress, weight: Weight = 100, state: AdministrativeState = .ready) {
    self.name = name
    self.address = address
    self.weight = weight
    self.state = state
  }

  /// Whether new flows may be given to it.
  public var takesNewFlows: Bool { state == .ready && weight > 0 }
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

/// A named set of backends, with one forwarding table.
public struct Pool: Hashable, Sendable {
  public var name: String
  public var backends: [Backend]
  public var hash: HashFields
  /// Slots of the forwarding table. A prime, so that every backend's preference order visits each slot.
  public var tableSize: Int
  public var encapsulation: Encapsulation

  public init(
    name: String, backends: [Backend], hash: HashFields = .flow, tableSize: Int = Pool.defaultTableSize,
    encapsulation: Encapsulation = Encapsulation()
  ) {
    self.name = name
    self.backends = backends
    self.hash = hash
    self.tableSize = tableSize
    self.encapsulation = encapsulation
  }

  public static let defaultTableSize = 65_537

  public func backend(named name: String) -> Backend? { backends.first { $0.name == name } }
}
