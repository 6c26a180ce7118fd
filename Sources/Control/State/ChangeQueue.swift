// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import LoadBalancing

/// A change that an operator, a signal or the daemon itself asks for.
enum ChangeRequest: Sendable {
  case add(backend: String, pool: String, BackendAddition)
  case change(backend: String, pool: String, BackendChange)
  case remove(backend: String, pool: String, reason: String?)
  /// Reads the configuration again.
  case reload
  case detach
  case attach
}

/// Changes in the order in which they were asked for. One is under way; the next begins when that one has its reply.
struct ChangeQueue: Sendable {
  var current: Change?
  private(set) var waiting: [Change] = []
  /// A reload that failed at the data plane and whose file is good: it is tried again at the next tick. nil: none.
  var dueReload: DueReload?

  struct DueReload: Sendable {
    /// The configuration that was to be put in force whatever breaks; nil: connections must survive.
    var forced: Configuration?
  }

  mutating func append(_ change: Change) { waiting.append(change) }

  /// Takes the next change; nil while one is under way, or where none waits.
  mutating func takeNext() -> Change? {
    guard current == nil, !waiting.isEmpty else { return nil }
    return waiting.removeFirst()
  }

  mutating func takeWaiting() -> [Change] {
    defer { waiting = [] }
    return waiting
  }
}

struct Change: Sendable {
  var id: RequestID
  var request: ChangeRequest
  var requester: Requester
  var terms: ChangeTerms
  /// Of a forced reload that is tried again: the configuration that it was forced for. What the files say otherwise by
  /// now is not forced.
  var forcedFor: Configuration?
  var step = Step.begun

  /// How far the change is. While it waits for a result, other inputs are handled; its last step plans from the state
  /// as it is then.
  enum Step: Sendable {
    case begun
    case loading
    /// - Parameter report: of a reload.
    case measuring(report: ConfigurationReport?)
    case resolving(ChangeTarget)
    case saving(ChangeTarget, SaveID)
    /// Waits for the data plane, which carries out another plan.
    case planning(ChangeTarget)
    case applying(ChangeTarget)
    /// In force; waits until the overrides that go with a new configuration are saved.
    case savingAfter(ChangeReply, SaveID)
    case attaching
    case detaching
  }
}

/// What a change leads to.
struct ChangeTarget: Sendable {
  /// What the configuration says.
  var configured: DesiredState
  var overrides: [BackendOverride]
  /// Leaving backends that are to go at once.
  var expiring: Set<BackendNumber> = []
  /// Whether a part of it is in force, and counted as a generation.
  var isCounted = false
  /// A backend that is to go at once after the change, if it is leaving by then.
  var cutOff: BackendNumber?
  var asked: Provenance
  /// Also where slots forget their flows.
  var allowsLostFlows = false
  /// nil: the configuration stays.
  var reload: Reload?
  /// What becomes of it, formed before it is applied.
  var effect: ChangeEffect?
  /// A plan to it that was made when it was decided on; nil: none was.
  var prepared: PreparedPlan?
  /// What was known of backends before it is applied.
  var known = KnownBackends()

  struct Reload: Sendable {
    var configuration: Configuration
    var differences: [KeyDifference]
    var renames: [String: String] = [:]
    var restartRequired: [String] { differences.filter(\.needsRestart).map(\.key) }
  }
}
