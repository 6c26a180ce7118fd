// SPDX-License-Identifier: Apache-2.0

/// The flow of a probe, by which the egress program knows where to send its packets.
public struct ProbeFlow: Hashable, Sendable {
  public enum Transport: UInt8, Hashable, Sendable {
    case icmp4 = 1
    case tcp = 6
    case udp = 17
    case icmp6 = 58
  }

  public var source: IPAddress
  /// Host order. ICMP: the identifier.
  public var sourcePort: UInt16
  /// The VIP.
  public var destination: IPAddress
  /// Host order. ICMP: 0.
  public var port: UInt16
  public var transport: Transport
  /// The address that this host's stack sends to. The programs at the interface exchange it for the VIP, and the
  /// VIP for it in what comes back. Of the VIP's family; may be the VIP itself.
  public var standIn: IPAddress

  public init(
    source: IPAddress, sourcePort: UInt16, destination: IPAddress, port: UInt16, transport: Transport,
    standIn: IPAddress? = nil
  ) {
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.port = port
    self.transport = transport
    self.standIn = standIn ?? destination
  }

  /// This host's end, by which the programs find the flow.
  public struct Endpoint: Hashable, Sendable {
    public var source: IPAddress
    public var sourcePort: UInt16
    public var transport: Transport
  }

  public var endpoint: Endpoint {
    Endpoint(source: source, sourcePort: sourcePort, transport: transport)
  }
}

/// What the interface saw of a probe's packets.
public struct ProbeTrace: Hashable, Sendable {
  /// Whether one left the interface, encapsulated.
  public var hasLeft: Bool
  /// Whether a packet of the flow came back.
  public var isAnswered: Bool

  public init(hasLeft: Bool, isAnswered: Bool) {
    self.hasLeft = hasLeft
    self.isAnswered = isAnswered
  }
}

/// Where on its way a probe failed.
public enum ProbeLayer: String, Hashable, Sendable, CaseIterable {
  /// On the balancer itself: no descriptor, no port, a VIP that is a local address, no permission.
  case local
  /// No route or next hop to the backend.
  case route
  /// The backend does not take the encapsulated packet out of its tunnel.
  case tunnel
  /// The VIP is no address of the backend.
  case vip
  /// Packets of full size do not arrive.
  case mtu
  /// The backend's answer does not come back, or its host drops what comes out of the tunnel (rp_filter).
  case reply
  /// Nobody listens on the port, or its listener is silent.
  case port
  case tls
  /// An answer, but not the status or response code that is expected.
  case status
  /// An answer, but not the content that is expected.
  case body
  /// No answer in time; which layer lost it one probe cannot tell.
  case timeout
}

/// What came of one probe.
public struct ProbeOutcome: Hashable, Sendable {
  public struct Failure: Error, Hashable, CustomStringConvertible {
    public var layer: ProbeLayer
    /// A sentence for the operator, such as `connection refused`, `status 503, expected 200-299`.
    public var reason: String

    public init(_ layer: ProbeLayer, _ reason: String) {
      self.layer = layer
      self.reason = reason
    }

    public var description: String { reason }
  }

  /// Something that was got over on the way: `connected`, `TLS 1.3`, `status 200`.
  public struct Step: Hashable, Sendable {
    public var what: String
    /// Since the probe began.
    public var after: Duration

    public init(_ what: String, after: Duration) {
      self.what = what
      self.after = after
    }
  }

  /// nil: it passed.
  public var failure: Failure?
  public var duration: Duration
  public var steps: [Step]

  public init(failure: Failure? = nil, duration: Duration, steps: [Step] = []) {
    self.failure = failure
    self.duration = duration
    self.steps = steps
  }

  public var hasPassed: Bool { failure == nil }
}
