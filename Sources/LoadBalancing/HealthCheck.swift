// SPDX-License-Identifier: Apache-2.0

/// The types of probes, as the configuration names them. `docs/architecture.md` says how to add one.
public enum ProbeType: String, Hashable, Sendable, CaseIterable {
  case tcp
  case http
  case https
  case dns
  case udp
  case icmp
}

/// How the health of a pool's backends is checked.
public struct HealthCheck: Hashable, Sendable {
  /// What a probe asks.
  public enum Kind: Hashable, Sendable {
    /// Whether a connection is accepted.
    case tcp
    case http(HTTPQuestion)
    case dns(DNSQuestion)
    case udp(DatagramQuestion)
    /// Whether an echo request is answered.
    case icmp

    public var type: ProbeType {
      switch self {
      case .tcp: .tcp
      case .http(let question): question.tls == nil ? .http : .https
      case .dns: .dns
      case .udp: .udp
      case .icmp: .icmp
      }
    }

    /// As the configuration names the type.
    public var name: String { type.rawValue }

    /// What carries the probe; nil: ICMP.
    public var transport: TransportProtocol? {
      switch self {
      case .tcp, .http: .tcp
      case .dns(let question): question.transport
      case .udp: .udp
      case .icmp: nil
      }
    }
  }

  /// The path of a probe to the backend.
  public enum Via: String, Hashable, Sendable, CaseIterable {
    /// As clients' packets do: to the VIP, encapsulated.
    case tunnel
    /// To the backend's own address.
    case direct
  }

  /// The state of a backend that was never checked.
  public enum Start: String, Hashable, Sendable, CaseIterable {
    case up
    case down
  }

  public var kind: Kind
  public var via: Via
  /// The VIPs that are probed; nil: those of all services that use the pool. Ignored with ``Via/direct``.
  public var vips: [IPAddress]?
  /// nil: that of the pool's first service at the VIP that has a port and the probe's transport.
  public var port: UInt16?
  /// From the start of one probe to the start of the next, unless ``timeout`` is longer and the first has not ended.
  public var interval: Duration
  /// From the start of a probe to its last octet.
  public var timeout: Duration
  /// The number of probes in a row that must pass for a backend that is down to be up.
  public var rise: Int
  /// The number of probes in a row that must fail for a backend that is up to be down.
  public var fall: Int
  /// The interval while a change of state is pending; nil: as `interval`.
  public var fastInterval: Duration?
  /// The part of an interval by which it may be shorter, 0…1.
  public var jitter: Double
  public var start: Start
  /// Whether a packet of each probe is as large as the tunnel carries (http, https, icmp), so that a path with a lower
  /// MTU is found.
  public var isFullSize: Bool
  public var damping: Damping

  /// The detection time: the longest time from the death of a backend to the verdict that it is down.
  public var detection: Duration { interval + runLimit(fall) }

  /// The longest time from the moment that a target is known to the first verdict on it, if all its probes agree.
  public var firstVerdictLimit: Duration { interval + runLimit(max(rise, fall)) }

  /// The longest time from the start of the first of several probes in a row to the end of the last: each may take its
  /// whole timeout, and the next starts an interval after its start, but not before it has ended.
  func runLimit(_ probes: Int) -> Duration { max(interval, timeout) * (probes - 1) + timeout }

  /// What ``timeout`` may be.
  public static let timeouts: ClosedRange<Duration> = .milliseconds(10) ... .seconds(60)

  public init(
    kind: Kind, via: Via = .tunnel, vips: [IPAddress]? = nil, port: UInt16? = nil,
    interval: Duration = .seconds(2),
    timeout: Duration = .seconds(1), rise: Int = 2, fall: Int = 3, fastInterval: Duration? = nil,
    jitter: Double = 0.2, start: Start = .down, isFullSize: Bool = false, damping: Damping = Damping()
  ) {
    self.kind = kind
    self.via = via
    self.vips = vips
    self.port = port
    self.interval = interval
    self.timeout = timeout
    self.rise = rise
    self.fall = fall
    self.fastInterval = fastInterval
    self.jitter = jitter
    self.start = start
    self.isFullSize = isFullSize
    self.damping = damping
  }
}

/// How long a backend that keeps going down and up is held down.
public struct Damping: Hashable, Sendable {
  /// How long a backend is held down that goes down for the second time within `memory`; each further time twice as long
  /// as before. Zero: never.
  public var hold: Duration
  /// The longest hold.
  public var limit: Duration
  /// The time after which an earlier failure no longer counts.
  public var memory: Duration

  public init(
    hold: Duration = .seconds(10), limit: Duration = .seconds(300), memory: Duration = .seconds(600)
  ) {
    self.hold = hold
    self.limit = limit
    self.memory = memory
  }
}

/// A request over HTTP/1.1, and what its answer must be.
public struct HTTPQuestion: Hashable, Sendable {
  public struct TLS: Hashable, Sendable {
    /// Whether the certificate must be valid for the host's name.
    public var isVerified: Bool
    /// A PEM file of the authorities to trust; nil: the system's. Read when probing, so that it may change.
    public var authorities: String?

    public init(isVerified: Bool = true, authorities: String? = nil) {
      self.isVerified = isVerified
      self.authorities = authorities
    }
  }

  public var method: String
  public var path: String
  /// For the Host header and, if it is a name, for SNI: a name or an address (IPv6 in brackets), perhaps with a port;
  /// nil: the address that is probed.
  public var host: String?
  /// Status codes that pass.
  public var expected: [ClosedRange<Int>]
  /// Text that the body must hold, within its first 64 KiB.
  public var body: String?
  public var tls: TLS?

  public init(
    method: String = "GET", path: String = "/", host: String? = nil,
    expected: [ClosedRange<Int>] = [200...299],
    body: String? = nil, tls: TLS? = nil
  ) {
    self.method = method
    self.path = path
    self.host = host
    self.expected = expected
    self.body = body
    self.tls = tls
  }
}

/// A query (RFC 1035), and what its answer must be.
public struct DNSQuestion: Hashable, Sendable {
  public enum RecordType: String, Hashable, Sendable, CaseIterable {
    case a = "A"
    case aaaa = "AAAA"
    case cname = "CNAME"
    case mx = "MX"
    case ns = "NS"
    case soa = "SOA"
    case txt = "TXT"
  }

  public enum ResponseCode: String, Hashable, Sendable, CaseIterable {
    case noError = "NOERROR"
    case nameError = "NXDOMAIN"
    case refused = "REFUSED"
    case serverFailure = "SERVFAIL"
  }

  /// Without a final dot; `.` is the root.
  public var name: String
  public var type: RecordType
  public var transport: TransportProtocol
  public var expected: ResponseCode
  /// An address that one of the answer's A or AAAA records must hold.
  public var answer: IPAddress?

  public init(
    name: String, type: RecordType = .a, transport: TransportProtocol = .udp,
    expected: ResponseCode = .noError,
    answer: IPAddress? = nil
  ) {
    self.name = name
    self.type = type
    self.transport = transport
    self.expected = expected
    self.answer = answer
  }
}

/// A datagram, and what must come back.
public struct DatagramQuestion: Hashable, Sendable {
  public var payload: [UInt8]
  /// Octets that the reply must hold; nil: any reply passes.
  public var reply: [UInt8]?

  public init(payload: [UInt8], reply: [UInt8]? = nil) {
    self.payload = payload
    self.reply = reply
  }
}
