// SPDX-License-Identifier: Apache-2.0

/// `GET /v1/pools/POOL/backends/NAME/drain`: how far a backend is on its way to having no flows.
public struct DrainStatus: Codable, Hashable, Sendable {
  public var pool: String
  public var backend: String
  /// ready, drain, maint, or leaving.
  public var state: String
  /// Live flows that the flow table gives it: at least so many there are. Ending ones aside.
  public var flows: Int
  /// Seconds since a flow that was not known before was last sent to it, or since the drain began; nil while it does not
  /// drain and none was.
  public var lastNewS: Double?
  /// What ``lastNewS`` must exceed.
  public var quietS: Double
  /// No flow is left, and none has turned up for ``quietS``.
  public var drained: Bool

  public init(
    pool: String, backend: String, state: String, flows: Int, lastNewS: Double?, quietS: Double, drained: Bool
  ) {
    self.pool = pool
    self.backend = backend
    self.state = state
    self.flows = flows
    self.lastNewS = lastNewS
    self.quietS = quietS
    self.drained = drained
  }
}
