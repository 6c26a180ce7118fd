// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// One question to one backend.
public struct Probe: Sendable {
  /// The tunnel that a probe takes.
  public struct Tunnel: Hashable, Sendable {
    public var backend: BackendNumber
    /// The largest packet of its own, in octets from the IP header on, that fits into the tunnel.
    public var mtu: Int
    /// Whether the outer source is the balancer's own address, so that errors about the outer packet come back to it.
    /// Probes of the checks leave that to the pool, as clients' packets do.
    public var fromOwnAddress: Bool
    /// The address of this host that the packets leave with and the answers come back to; nil: it has none of the
    /// VIP's family.
    public var source: IPAddress?
    /// The address that this host's stack sends to in place of the VIP: one whose next hop is the backend's, so that
    /// this host's routes to the VIP do not matter. nil: the VIP itself.
    public var standIn: IPAddress?
    /// Whether the next hop is the backend itself, and the kernel knows no link-layer address of it: then a packet
    /// that cannot leave is the backend's fault, not this host's.
    public var isBackendSilent: Bool

    public init(
      backend: BackendNumber, mtu: Int, fromOwnAddress: Bool = false, source: IPAddress?,
      standIn: IPAddress? = nil, isBackendSilent: Bool = false
    ) {
      self.backend = backend
      self.mtu = mtu
      self.fromOwnAddress = fromOwnAddress
      self.source = source
      self.standIn = standIn
      self.isBackendSilent = isBackendSilent
    }
  }

  public var kind: HealthCheck.Kind
  /// The VIP, or the backend's own address.
  public var destination: IPAddress
  /// Host order; 0 for ICMP.
  public var port: UInt16
  /// nil: the probe goes to the destination as any packet does.
  public var tunnel: Tunnel?
  /// The interface that the probe leaves by; nil: as the routes say. Always given with a tunnel.
  public var interfaceIndex: UInt32?
  public var timeout: Duration
  /// Whether one packet is to be as large as the tunnel carries.
  public var isFullSize: Bool

  public init(
    kind: HealthCheck.Kind, destination: IPAddress, port: UInt16, tunnel: Tunnel? = nil,
    interfaceIndex: UInt32? = nil, timeout: Duration, isFullSize: Bool = false
  ) {
    self.kind = kind
    self.destination = destination
    self.port = port
    self.tunnel = tunnel
    self.interfaceIndex = interfaceIndex
    self.timeout = timeout
    self.isFullSize = isFullSize
  }
}

/// Sends the packets of a flow of this host to one backend.
public protocol ProbeSteering: AnyObject, Sendable {
  /// From now on packets of the flow go to the backend, encapsulated.
  /// - Throws: with a description for the operator; then the flow is not steered.
  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws
  /// The flow is over.
  func release(_ flow: ProbeFlow)
  /// What the interface saw of the flow since it was steered; nil: that is not known.
  func trace(of flow: ProbeFlow) -> ProbeTrace?
}

extension Probe {
  /// The address that this host's stack sends to.
  var stackDestination: IPAddress { tunnel?.standIn ?? destination }

  /// The address of this host that a tunnelled probe leaves with.
  func tunnelSource() throws(ProbeOutcome.Failure) -> IPAddress {
    if let source = tunnel?.source { return source }
    let family = destination.family == .v4 ? "IPv4" : "IPv6"
    throw .init(
      .local,
      "this host has no \(family) address on the interface that answers from \(destination) could come back to"
    )
  }
}
