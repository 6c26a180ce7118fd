// SPDX-License-Identifier: Apache-2.0

/// Transport protocols that a virtual service can have; the raw value is the IP protocol number.
public enum TransportProtocol: UInt8, Hashable, Sendable, CaseIterable, Comparable {
  case tcp = 6
  case udp = 17

  public var name: String { self == .tcp ? "tcp" : "udp" }

  public init?(name: String) {
    switch name {
    case "tcp": self = .tcp
    case "udp": self = .udp
    default: return nil
    }
  }

  public static func < (left: TransportProtocol, right: TransportProtocol) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// What clients use: an address, a protocol, a port, and the pool that answers there.
public struct VirtualService: Hashable, Sendable {
  /// What a packet is matched with.
  public struct Key: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var address: IPAddress
    public var transport: TransportProtocol
    /// Host order; 0 means any port for which no exact service exists.
    public var port: UInt16

    public init(address: IPAddress, transport: TransportProtocol, port: UInt16) {
      self.address = address
      self.transport = transport
      self.port = port
    }

    public static func < (left: Key, right: Key) -> Bool {
      (left.address, left.port, left.transport) < (right.address, right.port, right.transport)
    }

    public var description: String {
      let host = address.family == .v6 ? "[\(address)]" : "\(address)"
      return "\(host):\(port == 0 ? "any" : String(port))/\(transport.name)"
    }
  }

  public var key: Key
  /// The name of the service in the configuration; several virtual services (addresses × ports) share it.
  public var name: String
  public var pool: String
  public var affinity: Affinity

  public init(key: Key, name: String, pool: String, affinity: Affinity = Affinity()) {
    self.key = key
    self.name = name
    self.pool = pool
    self.affinity = affinity
  }
}

/// How a service keeps its flows on their backends while the forwarding table changes.
public struct Affinity: Hashable, Sendable {
  public enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Flows are recorded only on slots that changed recently.
    case changes
    /// Every flow is tracked.
    case all
    /// No flow is tracked: a flow moves with its slot.
    case none
  }

  /// What a flow gets whose backend is gone.
  public enum OnGone: String, Hashable, Sendable, CaseIterable {
    /// Its slot's current backend, whose own RST ends it.
    case rehash
    /// A RST from the balancer, at once.
    case reset
  }

  public var mode: Mode
  /// Seconds after a slot's change during which an unknown TCP flow is taken to be older than the change.
  public var learn: Int
  /// Seconds without a packet after which a TCP flow is over.
  public var tcpIdle: Int
  /// Seconds without a packet after which a UDP flow is over.
  public var udpIdle: Int
  public var onGone: OnGone

  public init(
    mode: Mode = .changes, learn: Int = Pool.defaultSettle, tcpIdle: Int = 7200, udpIdle: Int = 60,
    onGone: OnGone = .rehash
  ) {
    self.mode = mode
    self.learn = learn
    self.tcpIdle = tcpIdle
    self.udpIdle = udpIdle
    self.onGone = onGone
  }
}
