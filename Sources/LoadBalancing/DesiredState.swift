// SPDX-License-Identifier: Apache-2.0

/// What the operator wants: the configuration with the runtime overrides applied.
public struct DesiredState: Hashable, Sendable {
  public var services: [VirtualService]
  public var pools: [Pool]
  public var packets: PacketPolicy
  /// Pools whose backends have no first verdict of their checks yet: no service is given to them meanwhile.
  public var awaited: Set<String> = []
  /// Backends that are leaving and that their checks find down.
  public var unusableLeaving: Set<BackendNumber> = []

  public init(services: [VirtualService] = [], pools: [Pool] = [], packets: PacketPolicy = PacketPolicy()) {
    self.services = services
    self.pools = pools
    self.packets = packets
  }

  public var poolsByName: [String: Pool] {
    Dictionary(pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  public func pool(named name: String) -> Pool? { pools.first { $0.name == name } }

  /// The addresses clients use, sorted.
  public var vips: [IPAddress] { Set(services.map(\.key.address)).sorted() }
}

/// How the XDP program is attached to its interface.
public enum AttachMode: String, Hashable, Sendable, CaseIterable {
  /// Native where the driver can, else generic.
  case auto
  case native
  case generic
}

/// How the next hop's link-layer address is found.
public enum NextHop: Hashable, Sendable {
  /// From the kernel's routes and neighbours, per backend.
  case kernel
  /// Always this gateway's address, resolved by the kernel's neighbour table.
  case gateway(IPAddress)
  /// Always this link-layer address: nothing is resolved.
  case fixed(mac: HardwareAddress)
}

/// What the daemon is told about its own machine. Most of it needs a restart to change.
public struct NodeSettings: Hashable, Sendable {
  public struct Interface: Hashable, Sendable {
    public var name: String
    public var mode: AttachMode
    public var nextHop: NextHop

    public init(name: String, mode: AttachMode = .auto, nextHop: NextHop = .kernel) {
      self.name = name
      self.mode = mode
      self.nextHop = nextHop
    }
  }

  public var name: String?
  public var interface: Interface
  public var limits: Limits
  /// The secret from which the keys of the flow hash are expanded; the same on every balancer of a fleet.
  public var hashSeed: String
  /// Directory on bpffs that holds the link and the maps.
  public var pinDirectory: String
  public var stateDirectory: String
  public var controlSocket: String
  public var controlGroup: String?
  public var statusSocket: String
  public var statusGroup: String?
  /// `ADDRESS:PORT` for metrics over TCP; nil: off.
  public var statusListen: String?

  public init(
    name: String? = nil, interface: Interface, limits: Limits = Limits(), hashSeed: String,
    pinDirectory: String = "/sys/fs/bpf/sluice", stateDirectory: String = "/var/lib/sluice",
    controlSocket: String = "/run/sluice/control.sock", controlGroup: String? = nil,
    statusSocket: String = "/run/sluice/status.sock", statusGroup: String? = nil, statusListen: String? = nil
  ) {
    self.name = name
    self.interface = interface
    self.limits = limits
    self.hashSeed = hashSeed
    self.pinDirectory = pinDirectory
    self.stateDirectory = stateDirectory
    self.controlSocket = controlSocket
    self.controlGroup = controlGroup
    self.statusSocket = statusSocket
    self.statusGroup = statusGroup
    self.statusListen = statusListen
  }
}

/// Everything a configuration says.
public struct Configuration: Hashable, Sendable {
  public var node: NodeSettings
  public var desired: DesiredState

  public init(node: NodeSettings, desired: DesiredState) {
    self.node = node
    self.desired = desired
  }
}
