// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// A request to one backend.
public struct Probe: Sendable {
  /// The tunnel that carries a probe.
  public struct Tunnel: Hashable, Sendable {
    public var backend: BackendNumber
    /// The largest inner packet that fits into the tunnel, in octets from the IP header on.
    public var mtu: Int
    /// Whether the outer source is the balancer's own address, so that errors about the outer packet come back to it.
    /// Otherwise it is a source of the pool, as for client packets; checks use that.
    public var fromOwnAddress: Bool
    /// The source address of the inner packets; `nil` if this host has no address of the VIP's family.
    public var source: IPAddress?
    /// The address that this host's stack sends to instead of the VIP. It has the same next hop as the backend, so this
    /// host's routes to the VIP do not matter. `nil`: the VIP itself.
    public var standIn: IPAddress?
    /// Whether the next hop is the backend itself and its link-layer address is unknown. Then a packet that cannot be
    /// sent is a failure of the backend, not of this host.
    public var isBackendSilent: Bool
    /// Whether packets get an outer header. Otherwise the link-layer address alone leads them to the backend.
    public var isEncapsulated: Bool

    public init(
      backend: BackendNumber, mtu: Int, fromOwnAddress: Bool = false, source: IPAddress?,
      standIn: IPAddress? = nil, isBackendSilent: Bool = false, isEncapsulated: Bool = true
    ) {
      self.backend = backend
      self.mtu = mtu
      self.fromOwnAddress = fromOwnAddress
      self.source = source
      self.standIn = standIn
      self.isBackendSilent = isBackendSilent
      self.isEncapsulated = isEncapsulated
    }
  }

  public var kind: HealthCheck.Kind
  /// The VIP, or the backend's own address.
  public var destination: IPAddress
  /// Host order; 0 for ICMP.
  public var port: UInt16
  /// The tunnel to use; `nil`: the probe is routed to the destination like any packet.
  public var tunnel: Tunnel?
  /// The interface to send on; `nil`: by the routing table. Never `nil` with a tunnel.
  public var interfaceIndex: UInt32?
  public var timeout: Duration
  /// Whether one packet must be as large as the tunnel allows.
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

/// Directs the packets of flows of this host to backends.
public protocol ProbeSteering: AnyObject, Sendable {
  /// Starts to send the packets of a flow to a backend, encapsulated.
  /// - Throws: with a description for the operator. The flow is not steered then.
  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws
  /// Ends the steering of a flow.
  func release(_ flow: ProbeFlow)
  /// The packets of the flow that the interface has seen since it was steered; `nil` if unknown.
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
