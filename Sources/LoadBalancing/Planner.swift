// SPDX-License-Identifier: Apache-2.0

/// Finds the plan from what is installed to what is desired.
///
/// Nothing that is in use at its beginning is used anew within a plan: not a number, a slot or a counter.
public struct Planner: Sendable {
  let desired: DesiredState
  let limits: NodeSettings.Limits
  let now: Tick
  let tickLength: Double
  let ended: Set<VirtualService.Key>
  let expired: Set<BackendNumber>
  let installed: InstalledState
  /// Pools of which nothing has to be written.
  let unchanged: Set<String>
  var next: InstalledState
  var effect = Effect()

  /// Per pool: what the plan makes of its backends.
  var members: [String: Members] = [:]

  var newBackends: [Plan.Step] = []
  var usableOn: [Plan.Step] = []
  var usableOff: [Plan.Step] = []
  /// Changes of services that tables may rely on.
  var removals: [Plan.Step] = []
  var widened: [Plan.Step] = []
  var tables: [Plan.Step] = []
  /// Changes of services that rely on tables.
  var services: [Plan.Step] = []
  var releases: [Plan.Step] = []

  var backendNumbers: Occupancy
  var poolNumbers: Occupancy
  var serviceNumbers: Occupancy
  var slots: Occupancy
  var pairs: Occupancy

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
    fulfilled: DesiredState? = nil
  ) throws(PlanError) -> Plan {
    var planner = Planner(installed, desired, limits, now, tickLength, expired, ended, fulfilled)
    let pools = desired.pools.sorted { $0.name < $1.name }
    try planner.planBackends(of: pools)
    for pool in pools where !planner.unchanged.contains(pool.name) { try planner.planTable(of: pool) }
    try planner.planServices()
    try planner.planLeavingPools()
    planner.planReleases()
    return planner.assembled()
  }

  private init(
    _ installed: InstalledState, _ desired: DesiredState, _ limits: NodeSettings.Limits, _ now: Tick,
    _ tickLength: Double, _ expired: Set<BackendNumber>, _ ended: Set<VirtualService.Key>,
    _ fulfilled: DesiredState?
  ) {
    self.installed = installed
    self.desired = desired
    self.limits = limits
    self.now = now
    self.tickLength = tickLength
    self.expired = expired
    self.ended = ended
    let touched = Set(expired.compactMap { installed.backends[$0]?.pool })
    let before = Dictionary(uniqueKeysWithValues: (fulfilled?.pools ?? []).map { ($0.name, $0) })
    let same = desired.pools.filter { before[$0.name] == $0 }.map(\.name)
    unchanged = Set(same.filter { installed.pools[$0] != nil && !touched.contains($0) })
    next = installed
    // Numbers of backends and services begin at 1: 0 is "none".
    backendNumbers = Occupancy(places: [0] + installed.backends.keys.map(Int.init), below: limits.backends)
    serviceNumbers = Occupancy(places: [0] + installed.services.values.map(\.number), below: limits.services)
    poolNumbers = Occupancy(places: installed.pools.values.map(\.number), below: limits.pools)
    slots = Occupancy(installed.pools.values.map(\.region), below: limits.slots)
    let moves = installed.services.values.compactMap(\.move?.pairs)
    pairs = Occupancy(installed.services.values.map(\.pairs) + moves, below: limits.pairs)
  }

  private func assembled() -> Plan {
    var steps = newBackends + usableOn + removals + widened + tables + services + usableOff
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
