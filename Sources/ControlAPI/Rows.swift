// SPDX-License-Identifier: Apache-2.0

/// `GET /v1/services`: one virtual service (address, port, protocol).
public struct ServiceRow: Codable, Hashable, Sendable {
  public var name: String
  public var vip: String
  /// nil: any port.
  public var port: Int?
  public var `protocol`: String
  public var pool: String
  public var affinity: String
  /// Forwarded; frames as received.
  public var packets: UInt64
  public var bytes: UInt64

  public init(
    name: String, vip: String, port: Int?, protocol: String, pool: String, affinity: String, packets: UInt64,
    bytes: UInt64
  ) {
    self.name = name
    self.vip = vip
    self.port = port
    self.protocol = `protocol`
    self.pool = pool
    self.affinity = affinity
    self.packets = packets
    self.bytes = bytes
  }
}

/// `GET /v1/pools/POOL/backends`
public struct BackendRow: Codable, Hashable, Sendable {
  /// What an operator changed at run time.
  public struct Override: Codable, Hashable, Sendable {
    /// Such as `state=drain`, `weight=50`, `added`.
    public var changes: [String]
    public var by: String
    public var at: String
    public var reason: String?

    public init(changes: [String], by: String, at: String, reason: String?) {
      self.changes = changes
      self.by = by
      self.at = at
      self.reason = reason
    }
  }

  public var pool: String
  public var name: String
  public var address: String
  public var weight: Int
  /// ready, drain, maint, or leaving: gone from the configuration, kept for its flows.
  public var state: String
  /// up, going_down, down, going_up; unchecked: it is not checked.
  public var health: String
  /// Why its latest probe failed; nil: it passed, or there was none.
  public var reason: String?
  /// Slots that new flows reach it by, of all slots of the pool: 0…1.
  public var share: Double
  /// Live flows that the flow table gives it: at least so many there are. Flows of slots that did not change lately
  /// have no entry.
  public var flows: Int
  /// Seconds since a flow without entry was last sent to it for what its slot remembers; nil: never.
  public var lastNewS: Double?
  /// Its drain is over: no flow is left.
  public var drained: Bool
  public var packets: UInt64
  public var bytes: UInt64
  public var via: String?
  public var mac: String?
  public var mtu: Int?
  /// Why packets may not reach it.
  public var trouble: String?
  public var override: Override?

  /// In the order of the text, so that writing them takes no sorting: there may be 10,000 rows.
  private enum CodingKeys: CodingKey {
    case address, bytes, drained, flows, health, lastNewS, mac, mtu, name, override, packets, pool, reason,
      share, state,
      trouble, via, weight
  }

  public init(
    pool: String, name: String, address: String, weight: Int, state: String, health: String,
    reason: String? = nil,
    share: Double,
    flows: Int, lastNewS: Double?, drained: Bool, packets: UInt64, bytes: UInt64, via: String?, mac: String?,
    mtu: Int?, trouble: String?,
    override: Override?
  ) {
    self.pool = pool
    self.name = name
    self.address = address
    self.weight = weight
    self.state = state
    self.health = health
    self.reason = reason
    self.share = share
    self.flows = flows
    self.lastNewS = lastNewS
    self.drained = drained
    self.packets = packets
    self.bytes = bytes
    self.via = via
    self.mac = mac
    self.mtu = mtu
    self.trouble = trouble
    self.override = override
  }
}
