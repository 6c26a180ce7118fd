// SPDX-License-Identifier: Apache-2.0

/// A line of `GET /v1/events` (NDJSON). Every event has the number after its predecessor's, so that a follower sees
/// what it missed. Lines of the types `gap` (with `lost`) and `heartbeat` are about the stream and have no number.
public struct Event: Codable, Hashable, Sendable {
  /// From 1, without gaps, since the daemon started.
  public var seq: UInt64?
  /// RFC 3339, UTC.
  public var time: String
  /// health, backend, pool, plan, config, interface, alarm, daemon; gap, heartbeat
  public var type: String
  /// What it is about: `web/web1`, `web`, `eth0`.
  public var object: String
  /// Of an alarm that was raised or cleared for many at once: what it is about, the first 512.
  public var objects: [String]?
  public var old: String?
  public var new: String?
  public var reason: String?
  /// Who asked for it; nil: the daemon by itself.
  public var by: String?
  /// Of a gap: how many events the follower did not get.
  public var lost: UInt64?

  public init(
    seq: UInt64? = nil, time: String, type: String, object: String = "", objects: [String]? = nil,
    old: String? = nil, new: String? = nil,
    reason: String? = nil, by: String? = nil, lost: UInt64? = nil
  ) {
    self.seq = seq
    self.time = time
    self.type = type
    self.object = object
    self.objects = objects
    self.old = old
    self.new = new
    self.reason = reason
    self.by = by
    self.lost = lost
  }
}
