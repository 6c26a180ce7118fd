// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI

/// What the control API needs of the daemon, in the domain's words. A call that throws has changed nothing.
protocol ControlPlane: Sendable {
  /// Of the desired state; every change counts it up.
  var generation: Int { get async }
  var events: EventLog { get }
  /// Where requests are counted.
  var requests: RequestCounts { get }

  func status() async throws -> Status
  func services() async throws -> [ServiceRow]
  /// A configured service has a row for each address and port.
  func services(named name: String) async throws -> [ServiceRow]
  func pools() async throws -> [PoolRow]
  func backends() async throws -> [BackendRow]
  func backends(of pool: String) async throws -> [BackendRow]
  func backend(_ name: String, in pool: String) async throws -> BackendRow
  /// Counts the flows anew, once a second at most, however many ask.
  /// - Parameters:
  ///   - quiet: seconds; nil: as the pool says.
  ///   - silent: seconds without a packet after which a flow counts as silent; nil: ``DrainProgress/silentAfter``.
  func drainStatus(of name: String, in pool: String, quiet: Int?, silent: Int?) async throws -> DrainStatus
  /// All checks, or those of a pool, or of one of its backends.
  func checkRows(of backend: String?, in pool: String?) async throws -> [CheckRow]
  /// Probes a backend now.
  /// - Parameter target: the VIP; nil: the worst.
  func examine(_ name: String, in pool: String, target: String?) async throws -> CheckReport
  /// Prometheus text.
  func metrics() async throws -> String
  /// YAML; secrets masked.
  func effectiveConfiguration() async throws -> String

  func add(
    _ name: String, to pool: String, _ addition: BackendAddition, by requester: Requester,
    _ terms: ChangeTerms
  ) async throws -> ChangeReply
  func change(
    _ name: String, in pool: String, _ change: BackendChange, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply
  func remove(
    _ name: String, from pool: String, reason: String?, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply

  /// - Parameter candidate: the text of a configuration; nil: the daemon's own files.
  func checkConfiguration(_ candidate: String?) async throws -> ConfigurationCheck
  /// - Parameter candidate: as in ``checkConfiguration(_:)``.
  func diffConfiguration(_ candidate: String?) async throws -> ConfigurationDiff
  /// Returns when the change is in force.
  func reloadConfiguration(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply
  /// Ends forwarding.
  func detachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply
  /// Brings forwarding back after ``detachForwarder(by:_:)``.
  func attachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply
}

/// How a change is asked for.
struct ChangeTerms: Hashable, Sendable {
  /// Tell what would happen, and change nothing.
  var dryRun = false
  /// Also below a pool's floor, where flows are lost, and where services end that are in use.
  var force = false
  /// Refuse a change that cannot be saved.
  var requiresSaved = false
  /// The tag of the state that the client has seen: refuse the change where the state is another one by then; nil: any
  /// state will do.
  var expectedTag: String?
}

/// Who asks for a change, for the record.
struct Requester: Hashable, Sendable {
  /// Such as `root (uid 0, pid 4711)`.
  var identity: String
}
