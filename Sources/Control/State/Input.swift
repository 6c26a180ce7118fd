// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// What happens to the control plane: requests from outside, events, and the results of actions.
enum Input: Sendable {
  // Start and end
  case start
  /// Result of ``Action/readSavedState``.
  case savedStateRead(SavedState)
  /// Result of ``Action/adopt(_:)``.
  case adopted(Result<Adoption, DataplaneError>)
  /// The control socket accepts connections.
  case controlServed
  case stop
  /// Why nothing listens on `status.listen`; nil: it listens.
  case listening(String?)

  // Changes
  case requested(RequestID, ChangeRequest, by: Requester, ChangeTerms)
  /// Result of ``Action/loadConfiguration(_:)``.
  case configurationLoaded(RequestID, ConfigurationReport)
  /// Result of ``Action/measure(_:_:)``.
  case measured(RequestID, ReadingID, Result<Measurement, DataplaneError>)
  /// Result of ``Action/resolve(_:_:patience:)``; nil where the network could not be read.
  case resolved(RequestID, NetworkView?)
  /// Result of ``Action/save(_:_:)``.
  case saved(SaveID, Result<Void, OverrideStoreError>)

  // The data plane
  /// Result of ``Action/apply(_:)``.
  case applied(Result<Applied, DataplaneError>)
  /// Result of ``Action/recover(_:nextHops:)``.
  case recovered(Result<Recovery, DataplaneError>)
  /// Result of ``Action/patrol(_:nextHops:)``: damage that was repaired.
  case patrolled(Result<[String], DataplaneError>)
  /// Result of ``Action/attach(_:)``.
  case attached(Result<AttachmentReport, DataplaneError>, by: Requester?)
  /// Result of ``Action/detach``.
  case detached(Result<Void, DataplaneError>)
  /// Result of ``Action/attachProbeHook(interfaceIndex:)``.
  case probeHookAttached(Result<UInt32, DataplaneError>)
  /// Result of ``Action/watchPins``: whether pins were missing and were made again.
  case pinsWatched(Result<Bool, DataplaneError>)

  // Network, health and time
  /// Links, routes, neighbours or addresses changed.
  case networkChanged
  /// Result of ``Action/readNetwork(_:)``.
  case networkRead(Result<NetworkView, NetlinkError>)
  /// Result of ``Action/startChecks``, handled before any other input: why they do not run; nil: they run.
  case checksStarted(String?)
  /// What the health checks decided.
  case healthDecided(HealthDecision)
  /// Some checks say nothing of their backends, or did a moment ago: alarms about them may begin or end.
  case checksUnjudged
  /// Comes at once after the start, then every ten seconds.
  case tick
  /// Result of ``Action/readCounters(_:_:)``.
  case countersRead(ReadingID, Result<TickReading, DataplaneError>)
  /// A reader needs a census of the flow table that is at most a second old.
  case censusRequested(RequestID)
  /// Result of ``Action/takeCensus(_:_:)``.
  case censusTaken(ReadingID, Result<FlowWalkResult, DataplaneError>)
  /// Result of ``Action/clearFlows(_:in:)``: how many entries were removed.
  case flowsCleared(Result<Int, DataplaneError>)
  /// Result of ``Action/setNextHops(_:)``.
  case nextHopsSet([BackendNumber: NextHopState])
  /// Result of ``Action/listSetAside``.
  case setAsideListed([String])
}

/// Identifies one attempt to save the overrides.
typealias SaveID = UInt64

/// What earlier runs of the daemon saved.
struct SavedState: Sendable {
  var overrides: [BackendOverride] = []
  /// Why the file of the overrides could not be read as a whole.
  var unreadable: String?
  /// Entries that are not valid.
  var rejected: [Rejected] = []
  var setAside: [String] = []
  /// Backends that health kept out of use; nil where nothing was saved that can be read.
  var absentees: Set<HealthStore.Absentee>?

  struct Rejected: Equatable, Sendable {
    var backend: BackendKey?
    var reason: String
  }
}

/// What the data plane found at the start.
struct Adoption: Sendable {
  /// What was done to what an earlier daemon left, a sentence each.
  var log: [String] = []
  var origin: Forwarder.Origin
  var installed: InstalledState
  /// What another process had written into the maps.
  var damage: [String] = []
  /// Whether the tables may have been filled under other rules.
  var isDoubtful = false
}

/// What is known when a plan is in force.
struct Applied: Sendable {
  /// What a start repaired after the plan, a sentence each.
  var leftovers: [String] = []
  /// Packets so far that could not be written into the flow table; nil: not known.
  var unwritten: UInt64?
  /// What was forwarded until the plan ended some pairs of services and backends; nil: it ended none.
  var forwarded: [ForwardedRun]?
}

/// What is installed, read back after a change that failed.
struct Recovery: Sendable {
  var installed: InstalledState
  /// What another process had written into the maps.
  var damage: [String] = []
}

/// What a change's effect is computed from.
struct Measurement: Sendable {
  /// nil where the last census is recent enough.
  var walk: FlowWalkResult?
  var forwarded: [ForwardedRun]
  /// The pools whose services were read; nil: all.
  var pools: Set<String>?
}

/// What is read at every tick.
struct TickReading: Sendable {
  var flowEvents: FlowEvents
  var forwarded: [ForwardedRun]
}
