// SPDX-License-Identifier: Apache-2.0

/// The flow of a probe. The egress program uses it to find the probe's backend.
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
  /// The address that this host's stack sends to. The programs at the interface replace it by the VIP, and the VIP by
  /// it in replies. It has the VIP's family, and may be the VIP itself.
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

  /// The local endpoint, by which the programs find the flow.
  public struct Endpoint: Hashable, Sendable {
    public var source: IPAddress
    public var sourcePort: UInt16
    public var transport: Transport
  }

  public var endpoint: Endpoint {
    Endpoint(source: source, sourcePort: sourcePort, transport: transport)
  }
}

/// The packets of a probe that the interface has seen.
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

/// The layer at which a probe failed.
public enum ProbeLayer: String, Hashable, Sendable, CaseIterable {
  /// On the balancer itself: no descriptor, no port, a VIP that is a local address, no permission.
  case local
  /// No route or next hop to the backend.
  case route
  /// The backend does not decapsulate the packet.
  case tunnel
  /// The VIP is no address of the backend.
  case vip
  /// Packets of full size do not arrive.
  case mtu
  /// The backend's answer does not come back, or its host drops what comes out of the tunnel (rp_filter).
  case reply
  /// No process listens on the port, or it does not answer.
  case port
  case tls
  /// An answer with an unexpected status or response code.
  case status
  /// An answer without the expected content.
  case body
  /// No answer in time. One probe cannot locate the layer.
  case timeout
}

/// The outcome of a probe.
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

  /// A completed stage: `connected`, `TLS 1.3`, `status 200`.
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
