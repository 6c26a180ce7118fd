// SPDX-License-Identifier: Apache-2.0

/// Ordered changes that lead from one installed state to another.
///
/// The order is the safety property: what is new is written before anything names it, and what is gone is reused only
/// after no packet can still be reading it. Every step leaves a state that forwards.
public struct Plan: Equatable, Sendable {
  public enum Step: Equatable, Sendable {
    /// Write the name of a backend whose pool is called otherwise.
    case renameBackend(InstalledState.Backend)
    /// Write the name of a pool.
    case renamePool(InstalledState.Pool)
    /// Write a record that nothing names yet.
    case writeBackend(InstalledState.Backend)
    /// Let pair counters start from zero for a new owner.
    case resetPairs([Int])
    /// Write a table into slots that no pool names, then let the pool name them, in one store.
    case publishTable(InstalledState.Pool)
    /// Write a service's record and pair counters, then its key.
    case addService(InstalledState.Service, pool: Int)
    /// Change a service's record; where its counters move, what they counted moves along.
    case changeService(InstalledState.Service, pool: Int, pairsBefore: Range<Int>)
    case removeService(InstalledState.Service)
    case setUsable(BackendNumber, Bool)
    /// Say whether slots whose previous it is may settle.
    case setDraining(BackendNumber, Bool)
    /// Change how long slots remember; the table stays.
    case setSettle(InstalledState.Pool)
    /// Wait until no packet is being handled that began before this step.
    case waitForReaders
    case releaseBackend(BackendNumber)
    case releasePool(number: Int)
  }

  public var steps: [Step]
  /// What is installed once all steps are done.
  public var result: InstalledState
  public var effect: Effect

  public var isEmpty: Bool { steps.isEmpty }
}

/// What a change does, in the operator's words.
public struct Effect: Equatable, Sendable {
  public struct PoolShare: Equatable, Sendable {
    public var pool: String
    /// Slots whose current backend changes.
    public var slotsMoved: Int
    public var slotsTotal: Int
    /// Those that had slots and have none after the change, by name.
    public var backendsEmptied: [String] = []
    /// Those that had no slot and have some after the change, by name.
    public var backendsFilled: [String] = []
  }

  /// A backend that no packet reaches any more, and slots of stable owners that it had: their flows have no entry in
  /// the flow table, so that they cannot be counted.
  public struct CutOff: Equatable, Sendable {
    public var pool: String
    public var backend: String
    public var number: BackendNumber
    public var uncountedSlots: Int
    /// Slots of the pool.
    public var slotsTotal: Int
  }

  public var servicesAdded: [String] = []
  public var servicesRemoved: [String] = []
  public var servicesChanged: [String] = []
  /// Services that stay as they are while a table or a backend changes under them.
  public var servicesTouched: [String] = []
  /// `web -> www`: pools that keep all but their name.
  public var poolsRenamed: [String] = []
  public var backendsAdded: [String] = []
  public var backendsRemoved: [String] = []
  public var pools: [PoolShare] = []
  /// What waits for the first verdicts of health checks, a sentence each.
  public var awaited: [String] = []
  /// Flows in the flow table of backends that lose slots or go out of use; nil where nobody counted. There may be more
  /// that need no entry.
  public var flowsConcerned: Int?
  /// Of those, the ones that cannot stay with their backend.
  public var flowsLost: Int?
  /// Backends whose uncounted flows break.
  public var backendsCutOff: [CutOff] = []
  public var warnings: [String] = []

  public init() {}
}

/// Why no plan exists.
public enum PlanError: Error, Equatable, Sendable, CustomStringConvertible {
  case limitExceeded(what: String, limit: Int, needed: Int)
  /// More backends in a pool than ``Pool/maximumBackends``, those that are leaving included.
  case poolFull(pool: String)
  /// Connections would break that an operator must give up with intent.
  case losesFlows([SlotSelectionChange])

  public var description: String {
    switch self {
    case .limitExceeded(let what, let limit, let needed):
      "the change needs \(needed) \(what), the limit is \(limit): raise limits.\(what) in the configuration and restart"
    case .poolFull(let pool):
      "pool \(pool) would have more than \(Pool.maximumBackends) backends, those that are leaving included: try again "
        + "when some have gone, or make two pools of it"
    case .losesFlows(let changes):
      changes.map(\.description).joined(separator: "; ") + "; to do it nevertheless: --force"
    }
  }
}
