// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// What the control loop reads for one turn. ``ControlState`` has no clock and no other source of such values.
struct Turn: Sendable {
  /// The time of the turn. Its uptime is of the clock that ``board`` uses.
  var now: Moment
  /// The time of the packet path.
  var packetTick: Tick
  /// A copy of what the health checks know; nil before they begin.
  var board: HealthBoard?
}

/// Identifies a request from the outside until its reply.
typealias RequestID = UInt64
