// SPDX-License-Identifier: Apache-2.0

/// `GET /v1/status`: one screen about the whole daemon. Times are RFC 3339, UTC; keys are snake_case on the wire.
public struct Status: Codable, Hashable, Sendable {
  public struct Interface: Codable, Hashable, Sendable {
    /// As configured.
    public var name: String
    /// What it is called now, where that differs.
    public var renamedTo: String?
    public var index: Int?
    public var mac: String?
    public var mtu: Int?
    /// `native` or `generic`; nil while the program is not attached.
    public var mode: String?
    /// Why this mode, or why the program is not attached.
    public var modeReason: String?
    /// Whether the program runs in the driver (native mode), and was loaded with CAP_PERFMON, so without
    /// speculation barriers.
    public var fullSpeed: Bool

    public init(
      name: String, renamedTo: String? = nil, index: Int?, mac: String?, mtu: Int?, mode: String?,
      modeReason: String?, fullSpeed: Bool
    ) {
      self.name = name
      self.renamedTo = renamedTo
      self.index = index
      self.mac = mac
      self.mtu = mtu
      self.mode = mode
      self.modeReason = modeReason
      self.fullSpeed = fullSpeed
    }
  }

  public struct Configuration: Codable, Hashable, Sendable {
    public var file: String
    public var generation: Int
    public var loadedAt: String
    public var lastReloadOk: Bool
    public var lastReloadAt: String
    public var lastReloadError: String?
    /// Keys whose change waits for a restart.
    public var restartRequired: [String]
    /// Runtime overrides in force: drift against the file.
    public var overrides: Int

    public init(
      file: String, generation: Int, loadedAt: String, lastReloadOk: Bool, lastReloadAt: String,
      lastReloadError: String?, restartRequired: [String], overrides: Int
    ) {
      self.file = file
      self.generation = generation
      self.loadedAt = loadedAt
      self.lastReloadOk = lastReloadOk
      self.lastReloadAt = lastReloadAt
      self.lastReloadError = lastReloadError
      self.restartRequired = restartRequired
      self.overrides = overrides
    }
  }

  public struct Alarm: Codable, Hashable, Sendable {
    public var code: String
    public var message: String
    /// What it is about; of many, the first.
    public var object: String
    /// All that it is about.
    public var objects: [String]
    public var cure: String
    public var since: String

    public init(
      code: String, message: String, object: String, objects: [String]? = nil, cure: String, since: String
    ) {
      self.code = code
      self.message = message
      self.object = object
      self.objects = objects ?? [object]
      self.cure = cure
      self.since = since
    }
  }

  public struct Verdict: Codable, Hashable, Sendable {
    public var verdict: String
    /// forwarded, passed, answered or dropped.
    public var `class`: String
    public var packets: UInt64
    public var bytes: UInt64

    public init(verdict: String, class: String, packets: UInt64, bytes: UInt64) {
      self.verdict = verdict
      self.class = `class`
      self.packets = packets
      self.bytes = bytes
    }
  }

  public var version: String
  public var node: String
  public var uptimeS: Double
  public var configuration: Configuration
  public var interface: Interface
  public var services: Int
  public var pools: [PoolRow]
  /// All verdicts, also those that counted nothing.
  public var verdicts: [Verdict]
  public var flowsUsed: Int
  public var flowsCapacity: Int
  public var alarms: [Alarm]
  /// Whether all services are forwarded with the pools that the configuration gives them: a balancer may be announced
  /// from then on.
  public var ready: Bool
  /// Pools whose backends have no first health verdict yet; no service is given to them.
  public var awaited: [String]

  public init(
    version: String, node: String, uptimeS: Double, configuration: Configuration, interface: Interface,
    services: Int,
    pools: [PoolRow], verdicts: [Verdict], flowsUsed: Int, flowsCapacity: Int, alarms: [Alarm],
    ready: Bool = true, awaited: [String] = []
  ) {
    self.version = version
    self.node = node
    self.uptimeS = uptimeS
    self.configuration = configuration
    self.interface = interface
    self.services = services
    self.pools = pools
    self.verdicts = verdicts
    self.flowsUsed = flowsUsed
    self.flowsCapacity = flowsCapacity
    self.alarms = alarms
    self.ready = ready
    self.awaited = awaited
  }
}

/// `GET /v1/pools`
public struct PoolRow: Codable, Hashable, Sendable {
  public var name: String
  public var slots: Int
  /// Slots that changed recently, whose flows are recorded.
  public var changedSlots: Int
  /// Equal on balancers whose tables are equal: compares keys of backends, not their numbers.
  public var tableDigest: String
  /// Backends that take new flows.
  public var ready: Int
  /// As many as there should be of them.
  public var required: Int
  public var backends: Int

  public init(
    name: String, slots: Int, changedSlots: Int, tableDigest: String, ready: Int, required: Int, backends: Int
  ) {
    self.required = required
    self.name = name
    self.slots = slots
    self.changedSlots = changedSlots
    self.tableDigest = tableDigest
    self.ready = ready
    self.backends = backends
  }
}
