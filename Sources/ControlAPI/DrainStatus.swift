// SPDX-License-Identifier: Apache-2.0

/// `GET /v1/pools/POOL/backends/NAME/drain`: the progress of a backend's drain.
public struct DrainStatus: Codable, Hashable, Sendable {
  public var pool: String
  public var backend: String
  /// ready, drain, maint, or leaving.
  public var state: String
  /// The backend's flows in the flow table, without those that are closing and those in ``unconfirmed``. It may have more
  /// flows than these.
  public var flows: Int
  /// Of those, flows that had a packet within ``silentAfterS``.
  public var activeFlows: Int
  /// Seconds without a packet after which a flow counts as silent: it moved to another balancer, an end is gone, or both
  /// ends are idle.
  public var silentAfterS: Double
  /// Seconds since a flow that was not known before was last confirmed, or could not be written, or since the drain
  /// began; nil while it does not drain and none was.
  public var lastNewS: Double?
  /// What ``lastNewS`` must exceed.
  public var quietS: Double
  /// No flow is left, and none has turned up for ``quietS``.
  public var drained: Bool
  /// Flows are left, but all of them are silent, and none has turned up for ``quietS``.
  public var onlySilent: Bool
  /// Flows that were not known before and of which one packet was seen: connections that are nearly silent, or stray
  /// packets. The drain does not wait for them.
  public var unconfirmed: Int
  /// Packets of new and unknown flows, of all backends, that could not be written into the flow table since the drain
  /// began. Where it is not 0, new connections may have been sent to the backend.
  public var unwritten: Int
  /// Why the flows could not be counted lately; nil: they were. The numbers are older then.
  public var trouble: String?

  public init(
    pool: String, backend: String, state: String, flows: Int, activeFlows: Int, silentAfterS: Double,
    lastNewS: Double?, quietS: Double, drained: Bool, onlySilent: Bool = false, unconfirmed: Int = 0,
    unwritten: Int = 0, trouble: String? = nil
  ) {
    self.pool = pool
    self.backend = backend
    self.state = state
    self.flows = flows
    self.activeFlows = activeFlows
    self.silentAfterS = silentAfterS
    self.lastNewS = lastNewS
    self.quietS = quietS
    self.drained = drained
    self.onlySilent = onlySilent
    self.unconfirmed = unconfirmed
    self.unwritten = unwritten
    self.trouble = trouble
  }
}
