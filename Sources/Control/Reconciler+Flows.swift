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
      lastUnknown: unknown, draining: draining, age: census == nil ? nil : age)
  }

  func age(ofDrain number: BackendNumber) -> Duration {
    drainingSince[number].map { $0.duration(to: .now) } ?? .zero
  }

  func drainStatus(of name: String, in pool: String, quiet: Int?) throws -> DrainStatus {
    _ = try freshCensus()
    let row = try backend(name, in: pool)
    guard let backend = installed.backends(of: pool).first(where: { $0.name == name }) else {
      throw ControlError.notFound("backend", name, among: [])
    }
    let progress = progress(of: backend)
    let quiet = quiet ?? drain(of: pool).quiet
    return DrainStatus(
      pool: pool, backend: name, state: row.state, flows: progress.flows, lastNewS: progress.lastNew,
      quietS: Double(quiet), drained: progress.isOver(quiet: quiet), unconfirmed: progress.unconfirmed,
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

  /// Seconds since a new flow was last seen, counted from the drain's beginning at the earliest: what was before does
  /// not tell who comes after.
  var lastNew: Double? {
    guard let draining else { return lastUnknown }
    return min(lastUnknown ?? draining, draining)
  }

  func isOver(quiet: Int) -> Bool {
    guard let draining, let age else { return false }
    // As it was at the census: nobody knows who came since.
    return Drain.isOver(
      flows: flows, lastNew: lastUnknown.map { $0 - age }, after: draining - age, quiet: quiet)
  }
}
