// SPDX-License-Identifier: Apache-2.0

/// Finds the plan from what is installed to what is desired.
///
/// No number that is in use at its beginning is used anew within a plan; slots and counters only where they are short,
/// after waiting for their readers.
public struct Planner: Sendable {
  let desired: DesiredState
  let limits: NodeSettings.Limits
  let now: Tick
  let tickLength: Double
  let ended: Set<VirtualService.Key>
  let expired: Set<BackendNumber>
  let census: FlowCensus?
  let allowsLostFlows: Bool
  let installed: InstalledState
  /// Backends that drain before the plan.
  let draining: Set<BackendNumber>
  /// Pools of which nothing has to be written.
  let unchanged: Set<String>
  /// Pools whose tables packets may look into: of services, and of moves that services remember.
  let asked: Set<String>
  var next: InstalledState
  var effect = Effect()
  /// Backends that lose slots.
  var losingSlots: Set<BackendNumber> = []
  /// Pools whose flows have other slots after the plan.
  var rehashed: Set<String> = []

  /// Per pool: what the plan makes of its backends.
  var members: [String: Members] = [:]
  /// Backends that begin to leave.
  var beginsLeave: Set<BackendNumber> = []
  /// Pools with a backend that begins to drain or leave.
  var beginsDrain: Set<String> = []

  var renames: [Plan.Step] = []
  var newBackends: [Plan.Step] = []
  var usableOn: [Plan.Step] = []
  var usableOff: [Plan.Step] = []
  /// Changes of services that tables may rely on.
  var removals: [Plan.Step] = []
  var widened: [Plan.Step] = []
  var tables: [Plan.Step] = []
  /// Changes of services that rely on tables.
  var services: [Plan.Step] = []
  /// Pools whose slots are to settle earlier.
  var shortened: [Plan.Step] = []
  var releases: [Plan.Step] = []

  var backendNumbers: Occupancy
  var poolNumbers: Occupancy
  var serviceNumbers: Occupancy
  var slots: Occupancy
  /// Slots of tables that the plan has replaced, and that packets may still be reading.
  var replaced: [Range<Int>] = []
  /// Slots that are to stay free in one piece.
  let reserve: Int
  /// As many slots cannot be brought together.
  var ungathered = Int.max
  var pairs: Occupancy
  /// Whether counters were in use before a step of the plan and are not any more.
  var hasEndedPairs = false

  /// - Parameters:
  ///   - desired: names and keys are unique, as a configuration's are. A service of a pool that is not there is
  ///     not installed.
  ///   - now: the packet path's time, for slots that change.
  ///   - tickLength: seconds of a tick.
  ///   - expired: leaving backends whose time is over, or that are to go at once.
  ///   - ended: services whose move from another pool no flow remembers any more.
  ///   - fulfilled: the desired state whose plan had `installed` as its result, where that is known. The plan is the
  ///     same without it, but takes the time of every pool instead of that of the pools that differ.
  /// - Throws: ``PlanError`` where a limit would be exceeded; nothing is planned then.
  public static func plan(
    from installed: InstalledState, to desired: DesiredState, limits: NodeSettings.Limits, now: Tick,
    tickLength: Double = 1, expired: Set<BackendNumber> = [], ended: Set<VirtualService.Key> = [],
    fulfilled: DesiredState? = nil, census: FlowCensus? = nil, allowsLostFlows: Bool = false
  ) throws(PlanError) -> Plan {
    let renaming = Renaming(installed, to: desired)
    var planner = Planner(
      renaming.installed, desired, limits, now, tickLength, expired, ended, fulfilled, census, allowsLostFlows
    )
    planner.renames = renaming.steps
    planner.effect.poolsRenamed = renaming.pools.map { "\($0.key) -> \($0.value)" }.sorted()
    try planner.checkSlotSelection()
    let pools = desired.pools.sorted { $0.name < $1.name }
    try planner.planBackends(of: pools)
    planner.planLeavingHealth()
    try planner.planTables(of: pools.filter { !planner.unchanged.contains($0.name) })
    try planner.planServices()
    try planner.planLeavingPools()
    planner.planReleases()
    planner.describeConcerned()
    return planner.assembled()
  }

  private init(
    _ installed: InstalledState, _ desired: DesiredState, _ limits: NodeSettings.Limits, _ now: Tick,
    _ tickLength: Double, _ expired: Set<BackendNumber>, _ ended: Set<VirtualService.Key>,
    _ fulfilled: DesiredState?, _ census: FlowCensus?, _ allowsLostFlows: Bool
  ) {
    self.installed = installed
    self.desired = desired
    self.limits = limits
    self.now = now
    self.tickLength = tickLength
    self.expired = expired
    self.ended = ended
    self.census = census
    self.allowsLostFlows = allowsLostFlows
    let touched = Set(expired.compactMap { installed.backends[$0]?.pool })
    let before = Dictionary(uniqueKeysWithValues: (fulfilled?.pools ?? []).map { ($0.name, $0) })
    let awaited = desired.awaited.union(fulfilled?.awaited ?? [])
    let same = desired.pools.filter { before[$0.name] == $0 && !awaited.contains($0.name) }.map(\.name)
    unchanged = Set(same.filter { installed.pools[$0] != nil && !touched.contains($0) })
    draining = installed.index.draining
    let services = installed.services.values
    asked = Set(services.map(\.service.pool)).union(services.compactMap(\.move?.pool))
    next = installed
    // Numbers of backends and services begin at 1: 0 is "none".
    backendNumbers = Occupancy(places: installed.backends.keys.map(Int.init), limit: limits.backends, from: 1)
    serviceNumbers = Occupancy(
      places: installed.services.values.map(\.number), limit: limits.services, from: 1)
    poolNumbers = Occupancy(places: installed.pools.values.map(\.number), limit: limits.pools)
    slots = Occupancy(installed.pools.values.map(\.region), limit: limits.slots)
    reserve = Self.reserve(desired, installed, asked: asked)
    pairs = installed.pairOccupancy(limit: limits.pairs)
  }

  private func assembled() -> Plan {
    var steps =
      renames + newBackends + usableOn + removals + widened + tables + services + usableOff + shortened
    if !releases.isEmpty || steps.contains(where: \.leavesPlaces) { steps.append(.waitForReaders) }
    steps += releases
    return Plan(steps: steps, result: next, effect: effect)
  }
}

extension Plan.Step {
  /// Whether places become free that packets may still be reading, for the next plan to use.
  fileprivate var leavesPlaces: Bool {
    switch self {
    case .publishTable, .changeService, .removeService: true
    default: false
    }
  }
}
