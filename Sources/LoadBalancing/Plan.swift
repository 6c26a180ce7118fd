// SPDX-License-Identifier: Apache-2.0

/// Ordered changes that lead from one installed state to another.
///
/// The order makes them safe: a new record is written before anything names it, and a number or slot is reused only
/// when no packet can still be reading it. Every step leaves a state that forwards.
public struct Plan: Equatable, Sendable {
  public enum Step: Equatable, Sendable {
    /// Write the name of a backend whose pool was renamed.
    case renameBackend(InstalledState.Backend)
    /// Write the name of a pool.
    case renamePool(InstalledState.Pool)
    /// Write a record that nothing names yet.
    case writeBackend(InstalledState.Backend)
    /// Let pair counters start from 0 for a new owner.
    case resetPairs([Int])
    /// Write a table into slots that no pool names, then let the pool name them, in one store.
    case publishTable(InstalledState.Pool)
    /// Write a service's record and pair counters, then its key.
    case addService(InstalledState.Service, pool: Int)
    /// Change a service's record. If its counters move, their values move along.
    case changeService(InstalledState.Service, pool: Int, pairsBefore: Range<Int>)
    case removeService(InstalledState.Service)
    case setUsable(BackendNumber, Bool)
    /// Set or clear the flag that keeps slots changed whose previous backend it is.
    case setDraining(BackendNumber, Bool)
    /// Change the ticks after which changed slots settle; the table stays.
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

  /// Whether pairs of services and backends end, with what they counted.
  public var endsPairs: Bool {
    steps.contains { step in
      switch step {
      case .releaseBackend, .removeService, .changeService: true
      default: false
      }
    }
  }

  /// Addresses of the backends that the plan adds.
  public var addressesWritten: Set<IPAddress> {
    var written: Set<IPAddress> = []
    for case .writeBackend(let backend) in steps { written.insert(backend.address) }
    return written
  }

  /// Backends whose records the plan writes or releases.
  public var backendsTouched: Set<BackendNumber> {
    var touched: Set<BackendNumber> = []
    for step in steps {
      switch step {
      case .renameBackend(let backend), .writeBackend(let backend): touched.insert(backend.number)
      case .setUsable(let number, _), .setDraining(let number, _), .releaseBackend(let number):
        touched.insert(number)
      case .renamePool, .resetPairs, .publishTable, .addService, .changeService, .removeService, .setSettle,
        .waitForReaders, .releasePool:
        continue
      }
    }
    return touched
  }
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

  /// A backend that gets no packets any more, and the number of stable slots that it owned. Their flows have no entry
  /// in the flow table, so they cannot be counted.
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
  /// Services and pools that wait for first health verdicts, a sentence each.
  public var awaited: [String] = []
  /// Flows in the flow table of backends that lose slots or go out of use; nil without a census. Flows without an
  /// entry are not counted.
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
  /// - Parameter passing: how much of `needed` becomes free once flows of former pools have ended.
  case limitExceeded(what: String, limit: Int, needed: Int, passing: Int = 0)
  /// Enough is free, but not side by side.
  case fragmented(what: String, limit: Int, needed: Int, free: Int, largest: Int)
  /// More backends in a pool than ``Pool/maximumBackends``, those that are leaving included.
  case poolFull(pool: String)
  /// Connections would break. Needs `--force`.
  case losesFlows([SlotSelectionChange])

  public var description: String {
    switch self {
    case .limitExceeded(let what, let limit, let needed, let passing):
      "limits.\(what) is \(limit), but the change needs \(needed)"
        + (passing > 0
          ? " (\(passing) of them are for older flows of services that changed their pool, and become free when these have settled)"
          : "") + ": raise it in the configuration and restart"
    case .fragmented(let what, let limit, let needed, let free, let largest):
      "the change needs \(needed) \(what) in one piece; of the \(limit) of limits.\(what), \(free) are free, but at most "
        + "\(largest) in one piece: raise it by \(needed) in the configuration and restart"
    case .poolFull(let pool):
      "pool \(pool) would have more than \(Pool.maximumBackends) backends, those that are leaving included: try again "
        + "when some have gone, or make two pools of it"
    case .losesFlows(let changes):
      changes.map(\.description).joined(separator: "; ") + "; to do it nevertheless: --force"
    }
  }
}
