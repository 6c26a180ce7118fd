// SPDX-License-Identifier: Apache-2.0

/// `GET /v1/checks`: the health of one target. A backend that is probed at several VIPs has a
/// row for each; it is as healthy as the worst.
public struct CheckRow: Codable, Hashable, Sendable {
  public var pool: String
  public var backend: String
  /// Where its probes go: a VIP, or the backend's own address.
  public var target: String
  /// nil: ICMP has none.
  public var port: Int?
  /// As in the configuration: tcp, http, …
  public var type: String
  /// tunnel or direct
  public var via: String
  /// up, going_down, down, going_up, unchecked (no probe is answered for yet)
  public var state: String
  /// When it came into this state.
  public var since: String
  /// Probes that passed or failed in a row, up to the latest.
  public var passed: Int
  public var failed: Int
  /// The latest probe: when it ended, how long it took, and why it failed; nil: there was none.
  public var lastAt: String?
  public var lastMs: Double?
  /// Which layer failed: local, route, tunnel, vip, mtu, reply, port, tls, status, body, timeout; nil: it passed.
  public var layer: String?
  public var reason: String?
  /// Until when flapping keeps it down, whatever its probes say.
  public var heldUntil: String?

  public init(
    pool: String, backend: String, target: String, port: Int?, type: String, via: String, state: String,
    since: String, passed: Int, failed: Int, lastAt: String? = nil, lastMs: Double? = nil,
    layer: String? = nil,
    reason: String? = nil, heldUntil: String? = nil
  ) {
    self.pool = pool
    self.backend = backend
    self.target = target
    self.port = port
    self.type = type
    self.via = via
    self.state = state
    self.since = since
    self.passed = passed
    self.failed = failed
    self.lastAt = lastAt
    self.lastMs = lastMs
    self.layer = layer
    self.reason = reason
    self.heldUntil = heldUntil
  }
}

/// `POST /v1/pools/POOL/backends/BACKEND/check`: what one probe, made now, came through, step by step.
public struct CheckReport: Codable, Hashable, Sendable {
  /// How long one may take: a probe of the longest timeout, the diagnosis of what failed, and a margin for waiting in the
  /// queue.
  public static let patience = Duration.seconds(90)

  public struct Step: Codable, Hashable, Sendable {
    /// ok, failed, or note: said, not judged.
    public var result: String
    /// steering, route, encapsulation, echo, connect, tls, status, …
    public var step: String
    public var detail: String
    /// Milliseconds since the report began.
    public var ms: Double?

    public init(result: String, step: String, detail: String, ms: Double? = nil) {
      self.result = result
      self.step = step
      self.detail = detail
      self.ms = ms
    }
  }

  public var pool: String
  public var backend: String
  public var target: String
  public var port: Int?
  public var type: String
  public var via: String
  public var passed: Bool
  public var steps: [Step]
  /// The layer that failed, as in ``CheckRow/layer``.
  public var layer: String?
  /// One sentence: what is wrong, or that all is well.
  public var conclusion: String
  /// What to look at or to run.
  public var cure: String?

  public init(
    pool: String, backend: String, target: String, port: Int?, type: String, via: String, passed: Bool,
    steps: [Step], layer: String? = nil, conclusion: String, cure: String? = nil
  ) {
    self.pool = pool
    self.backend = backend
    self.target = target
    self.port = port
    self.type = type
    self.via = via
    self.passed = passed
    self.steps = steps
    self.layer = layer
    self.conclusion = conclusion
    self.cure = cure
  }
}
