// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// What is known of flows.
extension Reconciler {
  /// Walks the flow table, unless that was done within the last second: however many ask, there is one walk a second.
  func freshCensus() throws(DataplaneError) -> FlowCensus {
    if let census, census.at.duration(to: .now) < .seconds(1) { return census.found }
    return try countFlows()
  }

  /// Walks the flow table now. Entries are put away by what is installed: that must be known.
  func countFlows() throws(DataplaneError) -> FlowCensus {
    try lookAgain()
    let found = try forwarder.census(of: installed)
    // What it says of the times of packets is true of now.
    census = (.now, found)
    return found
  }

  /// How far a backend is on its way to having no flows, by the last census.
  func progress(of backend: InstalledState.Backend) -> DrainProgress {
    let number = backend.number
    let age = census.map { $0.at.duration(to: .now).seconds } ?? 0
    let unknown = census?.found.lastUnknown[number].map { Double($0) + age }
    let draining = drainingSince[number].map { $0.duration(to: .now).seconds }
    return DrainProgress(
      flows: census?.found.live[number] ?? 0, unconfirmed: census?.found.unconfirmed[number] ?? 0,
      lastUnknown: unknown, draining: draining, age: census == nil ? nil : age,
      idle: (census?.found.idle[number] ?? []).map { Double($0) + age })
  }

  func age(ofDrain number: BackendNumber) -> Duration {
    drainingSince[number].map { $0.duration(to: .now) } ?? .zero
  }

  func drainStatus(of name: String, in pool: String, quiet: Int?, silent: Int?) throws -> DrainStatus {
    _ = try freshCensus()
    let row = try backend(name, in: pool)
    let backend = try installedBackend(name, in: pool)
    let progress = progress(of: backend)
    let (quiet, silent) = (quiet ?? drain(of: pool).quiet, silent ?? DrainProgress.silentAfter)
    return DrainStatus(
      pool: pool, backend: name, state: row.state, flows: progress.flows,
      activeFlows: progress.activeFlows(silentAfter: silent), silentAfterS: Double(silent),
      lastNewS: progress.lastNew, quietS: Double(quiet), drained: progress.isOver(quiet: quiet),
      onlySilent: progress.isOnlySilent(after: silent, quiet: quiet), unconfirmed: progress.unconfirmed,
      unwritten: try unwritten(sinceDrainOf: backend.number))
  }

  /// Packets since the drain began of new and unknown flows, of all backends, that could not be written into the flow
  /// table: new connections among them may have gone to the backend.
  private func unwritten(sinceDrainOf number: BackendNumber) throws(DataplaneError) -> Int {
    guard let before = unwrittenBeforeDrain[number] else { return 0 }
    return Int(clamping: try forwarder.flowEvents().unwritten &- before)
  }
}

/// How far a backend is on its way to having no flows.
struct DrainProgress: Equatable {
  /// At least so many live flows there are.
  var flows: Int
  /// Flows that were heard once: connections or strays.
  var unconfirmed: Int
  /// Seconds since an unknown flow was last confirmed there, or could not be written; nil: never.
  var lastUnknown: Double?
  /// Seconds since the drain began, as far as is known; nil: it does not drain.
  var draining: Double?
  /// Seconds since the flows were counted; nil: they were not yet.
  var age: Double?
  /// Of its flows the seconds since their last packet, as far as they were noted: while it drains.
  var idle: [Double] = []

  /// Seconds without a packet after which a flow counts as silent by default.
  static let silentAfter = 300

  /// Seconds since a new flow was last seen, counted from the drain's beginning at the earliest: what was before does
  /// not tell who comes after.
  var lastNew: Double? {
    guard let draining else { return lastUnknown }
    return min(lastUnknown ?? draining, draining)
  }

  func isOver(quiet: Int) -> Bool { flows == 0 && isQuiet(for: quiet) }

  /// Flows that may have had a packet within so many seconds.
  func activeFlows(silentAfter silent: Int) -> Int {
    max(flows - idle.count { $0 > Double(silent) }, 0)
  }

  /// Whether flows are left, but none that had a packet within `silent` seconds, and none has turned up for `quiet`
  /// seconds.
  func isOnlySilent(after silent: Int, quiet: Int) -> Bool {
    flows > 0 && activeFlows(silentAfter: silent) == 0 && isQuiet(for: quiet)
  }

  /// Whether no flow turned up for `quiet` seconds before the census: what came since is not known.
  private func isQuiet(for quiet: Int) -> Bool {
    guard let draining, let age else { return false }
    return Drain.isOver(
      flows: 0, lastNew: lastUnknown.map { $0 - age }, after: draining - age, quiet: quiet)
  }
}
