// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What the data plane is doing, and what it has still to do. What depends on the installed state is done one after the
/// other: a plan is made from the result of the one before it.
struct KernelWork: Sendable {
  enum InFlight: Sendable {
    case none
    /// - Parameters:
    ///   - asked: who asked for it; nil: the daemon by itself.
    ///   - isOfChange: whether the change under way is waiting for it.
    ///   - nextHops: what new backends are given, by address.
    case applying(Proposal, asked: Provenance?, isOfChange: Bool, nextHops: [IPAddress: NextHopState])
    case recovering
    case patrolling
    /// - Parameter id: the walk that found the entries.
    case clearing(ReadingID)
  }

  /// How well it is known what is installed.
  enum Knowledge: Sendable {
    case current
    /// A plan failed on the way: what is installed is to be read before the next plan.
    case doubtful
    /// It could not be read. It is read again at the next tick, or for a change that needs it.
    case unreadable
  }

  var inFlight = InFlight.none
  var knowledge = Knowledge.current
  /// Whether the daemon makes no plan of its own until the next tick, because the last one failed.
  var waitsForTick = false
  /// Whether the last plan failed, so that another failure waits for the tick.
  var hasFailed = false
  var patrol = Deferred.notWanted
  /// Next hops that are to be written when nothing is in flight, where they changed.
  var wantedNextHops = NextHopsWanted.none
  /// Leaving backends that are to go, and services whose move is over, by the last census.
  var expired: Set<BackendNumber> = []
  var ended: Set<VirtualService.Key> = []
  var readings = Readings()
  var census = CensusWork()
  /// The reading of counters for a tick that is under way; nil: none.
  var counters: ReadingID?

  var isIdle: Bool { if case .none = inFlight { true } else { false } }

  /// What could not be read is to be read again.
  mutating func readAgain() { if knowledge == .unreadable { knowledge = .doubtful } }

  /// Begins a reading of the maps.
  mutating func beginReading(of installed: InstalledState, at now: Moment) -> ReadingID {
    let changes: InstalledChanges =
      switch (knowledge, inFlight) {
      case (.current, .applying(let proposal, _, _, _)): InstalledChanges(by: proposal.plan, from: installed)
      case (.current, _): .none
      default: .unknown
      }
    return readings.begin(installed, during: changes, at: now)
  }

  /// A plan is about to be carried out.
  mutating func begin(_ plan: Plan, from installed: InstalledState) {
    guard readings.count > 0 || !ended.isEmpty else { return }
    let changes = InstalledChanges(by: plan, from: installed)
    readings.add(changes)
    ended.subtract(changes.services)
  }
}

/// Work that gives way to plans, but not for longer than from one tick to the next.
enum Deferred: Sendable {
  case notWanted
  case wanted
  /// It was wanted before, and plans came first.
  case overdue

  mutating func want() { self = self == .notWanted ? .wanted : .overdue }
}

/// A plan, with the state that it leads to.
struct Proposal: Sendable {
  var plan: Plan
  var desired: DesiredState
}
