// SPDX-License-Identifier: Apache-2.0

/// The state of the daemon after a turn. It is published as a value: answers of the API, metrics and alarms are pure
/// functions of it and of counters that were read beside it.
struct Snapshot: Sendable {
  var at: Moment
  var process: ProcessFacts
  var configuration: ConfigurationState
  var overrides = OverrideState()
  var forwarding = ForwardingState()
  var health = HealthView()
  var uplinks: Uplinks
  var draining = Draining()
  var flows = FlowKnowledge()
  var integrity = Integrity()
  var alarms = Alarms()
  var history = History()

  /// Whether every service is forwarded with the pool that the configuration gives it.
  var isReady: Bool {
    uplinks.isForwarding && forwarding.isFulfilled && health.decision.awaited.isEmpty
  }
}

/// What does not change while the daemon runs.
struct ProcessFacts: Equatable, Sendable {
  var configurationPath: String
  var startedAt: Moment
  var version: String
  /// Whether the program was loaded without speculation barriers (with CAP_PERFMON).
  var isFullSpeed: Bool
  var hostName: String
}
