// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing
internal import Netlink
internal import Synchronization

/// What the control plane wants done. Each action that has a result posts it as an ``Input``.
enum Action: Sendable {
  // Files
  case readSavedState(DesiredState)
  case loadConfiguration(RequestID)
  case save(SaveID, [BackendOverride])
  /// Coalesced: of several, the last one counts.
  case saveHealth(Set<HealthStore.Absentee>)
  case listSetAside

  // The data plane, one after the other in this order
  case adopt(AdoptionRequest)
  case apply(PlanApplication)
  case recover(DesiredState, nextHops: [IPAddress: NextHopState])
  case patrol(InstalledState, nextHops: [IPAddress: NextHopState])
  case rewriteSlots([SlotRewrite])
  /// Clears what a walk found dead and what is dead still, by what is installed now.
  case clearFlows(FlowWalkResult, in: InstalledState)
  case setNextHops([BackendNumber: NextHopState])
  case setInterfaceAddress(HardwareAddress)
  case attach(AttachRequest)
  case detach
  case attachProbeHook(interfaceIndex: UInt32)
  case watchPins

  // Reading
  case readCounters(InstalledState, ReadingID)
  case takeCensus(InstalledState, ReadingID)
  case measure(RequestID, MeasureRequest)

  // Network
  case readNetwork(NetworkQuery)
  /// Reads the paths to these addresses again and again until all are resolved or the patience has run out.
  case resolve(RequestID, NetworkQuery, patience: Duration)

  // Health
  /// Begins the checks where they have not begun yet.
  case startChecks
  /// Checks these targets from now on. The decision is posted before any other input.
  case check(CheckRequest)
  case setProbePaths(ProbePathUpdate)

  // Outside
  case reply(RequestID, Result<ChangeReply, any Error>)
  /// Answers ``Input/censusRequested(_:)``: the published snapshot has the census.
  case replyCensus(RequestID)
  case notice(Notice)
  /// The start is over.
  case started(Result<Void, StartError>)
  /// Reports to the service manager that the start is complete.
  case reportReady
  /// Nothing will be done any more.
  case stopped
}

struct AdoptionRequest: Sendable {
  var expected: DesiredState
  /// The address of the interface that packets come from until the program is attached.
  var address: HardwareAddress?
  var policy: PacketPolicy
}

/// A plan with all that carrying it out takes.
struct PlanApplication: Sendable {
  var plan: Plan
  var nextHops: [IPAddress: NextHopState]
  /// The policy from the beginning of the plan on, where it adds services; nil: as before.
  var policyBefore: PacketPolicy?
  /// The policy when the plan is in force.
  var policyAfter: PacketPolicy
  /// The state before the plan, where the plan ends pairs of services and backends: what these pairs counted is read.
  var counting: InstalledState?
  /// At the start: what the maps have to hold before the plan. Anything else in them is repaired, before and after.
  var repairing: InstalledState?
}

/// New words for slots of one pool.
struct SlotRewrite: Sendable {
  var pool: InstalledState.Pool
  var slots: [(index: Int, slot: Slot)]
}

struct AttachRequest: Sendable {
  var link: Link
  var mode: AttachMode
  /// nil: the daemon by itself.
  var by: Requester?
}

struct MeasureRequest: Sendable {
  var installed: InstalledState
  var reading: ReadingID
  /// Whether the flow table is walked.
  var takesCensus: Bool
  /// The pools whose services' counters are read; nil: all.
  var pools: Set<String>?
}

/// What is to be checked.
struct CheckRequest: Sendable {
  var desired: DesiredState
  var remainder: HealthBoard.Remainder
  var known: KnownBackends
}

/// Whether packets may go to a backend so far, by name and address.
struct KnownBackends: Sendable {
  private enum Source {
    case nothing
    case installed(InstalledIndex)
    case saved(absentees: Set<HealthStore.Absentee>)
  }
  private let source: Source

  /// Nothing is known.
  init() { source = .nothing }

  /// - Parameter installed: with the pools' names that backends are looked up by.
  init(installed: @escaping @Sendable () -> InstalledState) { source = .installed(InstalledIndex(installed)) }

  /// Where nothing installed could be read: what was saved. Backends that are not in it were in use.
  init(absentees: Set<HealthStore.Absentee>) { source = .saved(absentees: absentees) }

  /// nil: not known.
  func callAsFunction(_ name: BackendKey, _ address: IPAddress) -> Bool? {
    switch source {
    case .nothing: nil
    case .installed(let index): index.backends(named: name).first { $0.address == address }?.isUsable
    case .saved(let absentees): !absentees.contains(HealthStore.Absentee(name, address))
    }
  }
}

/// Backends of an installed state by name, built when it is first asked: most changes bring no backend that the checks
/// do not know.
private final class InstalledIndex: Sendable {
  private let installed: @Sendable () -> InstalledState
  private let built = Mutex<[BackendKey: [InstalledState.Backend]]?>(nil)

  init(_ installed: @escaping @Sendable () -> InstalledState) { self.installed = installed }

  /// Of one name, backends with several addresses may be there.
  func backends(named name: BackendKey) -> [InstalledState.Backend] {
    built.withLock { index in
      let found = index ?? Self.build(installed())
      index = found
      return found[name] ?? []
    }
  }

  /// Only of pools that a service uses.
  private static func build(_ installed: InstalledState) -> [BackendKey: [InstalledState.Backend]] {
    let services = installed.services.values
    let used = Set(services.map(\.service.pool)).union(services.compactMap(\.move?.pool))
    return Dictionary(grouping: installed.backends.values.filter { used.contains($0.pool) }) {
      BackendKey(pool: $0.pool, backend: $0.name)
    }
  }
}
