// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// The data plane, as the control plane changes it. Calls may block; they come one after the other.
protocol DataplaneWriter: Sendable {
  func adopt(_ request: AdoptionRequest) throws(DataplaneError) -> Adoption
  func apply(_ application: PlanApplication) throws(DataplaneError) -> Applied
  /// Reads what is installed after a change that failed, and removes what it left half done.
  func recover(
    expecting expected: DesiredState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> Recovery
  /// Compares a part of the maps with what is installed, and repairs what differs.
  /// - Returns: the damage, a sentence each.
  func patrol(
    _ installed: InstalledState, nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) -> [String]
  func rewrite(_ rewrites: [SlotRewrite])
  func clear(_ walk: FlowWalkResult, in installed: InstalledState) throws(DataplaneError) -> Int
  func set(nextHops: [BackendNumber: NextHopState])
  func set(interfaceAddress: HardwareAddress)
  func attach(_ request: AttachRequest) throws(DataplaneError) -> AttachmentReport
  func detach() throws(DataplaneError)
  func attachProbeHook(interfaceIndex: UInt32) throws(DataplaneError)
  /// Makes pins again that somebody removed.
  /// - Returns: whether any were missing.
  func watchPins() throws(DataplaneError) -> Bool
}

/// Counters and flows, read while the data plane changes. Calls may block.
protocol DataplaneReader: Sendable {
  func flowEvents() throws(DataplaneError) -> FlowEvents
  func forwarded(_ installed: InstalledState, of pools: Set<String>?) throws(DataplaneError) -> [ForwardedRun]
  func walk(_ installed: InstalledState) throws(DataplaneError) -> FlowWalkResult
}

/// The kernel's network configuration. Calls may block.
protocol Network: Sendable {
  func read(_ query: NetworkQuery) throws(NetlinkError) -> NetworkView
}

/// Files of the daemon. Calls may block for as long as the disk does.
protocol Files: Sendable {
  func readSavedState(for configured: DesiredState) -> SavedState
  func loadConfiguration() -> ConfigurationReport
  func save(_ overrides: [BackendOverride]) throws(OverrideStoreError)
  func saveHealth(_ absentees: Set<HealthStore.Absentee>) throws
  func setAside() -> [String]
}

/// The health checks. Calls do not block.
protocol HealthMonitor: Sendable {
  /// Begins to probe, and to post decisions, if that has not begun yet.
  func start(_ post: @escaping @Sendable (HealthDecision) -> Void) throws
  /// Checks these targets from now on.
  /// - Returns: what is to be in use.
  func check(_ request: CheckRequest) -> HealthDecision
  func set(paths: ProbePathUpdate)
  /// A copy of what is known; nil before the start.
  var board: HealthBoard? { get }
  /// The latest decision; nil before the start.
  var decision: HealthDecision? { get }
  /// Whether ``HealthBoard/unjudged`` has entries; costs no copy.
  var hasUnjudged: Bool { get }
  func stop()
}

/// Time as one turn sees it.
protocol Clock: Sendable {
  var now: Moment { get }
  /// The packet path's time.
  var packetTick: Tick { get }
}
