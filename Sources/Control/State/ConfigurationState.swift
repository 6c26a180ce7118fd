// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import LoadBalancing

/// The configuration in force, and how it was last read.
struct ConfigurationState: Sendable {
  var inForce: Configuration { didSet { keepDrains(of: oldValue.desired.pools) } }
  /// By name: the drain settings of pools that were removed, for as long as they have backends.
  private var formerDrains: [String: Drain] = [:]
  /// When the files of ``inForce`` were read.
  var loadedAt: Moment
  var lastReload: ReloadOutcome
  /// Keys whose new values are in force only after a restart.
  var restartRequired: [String] = []
  /// The `hash_seed` of the last reload, which an operator accepted for the next start; nil: there was none.
  var acceptedSeed: String?
  /// Of the desired state; every change increments it.
  var generation = 1
  /// Why nothing listens on `status.listen`; nil: it does, or it is not configured.
  var listenerTrouble: String?

  init(inForce: Configuration, loadedAt: Moment) {
    self.inForce = inForce
    self.loadedAt = loadedAt
    lastReload = ReloadOutcome(at: loadedAt)
  }

  var node: NodeSettings { inForce.node }

  /// The drain settings of a pool. A removed pool keeps those that it had; if an earlier daemon removed it, they are
  /// not known, and the defaults apply.
  func drain(of pool: String) -> Drain {
    inForce.desired.pool(named: pool)?.drain ?? formerDrains[pool] ?? Drain()
  }

  private mutating func keepDrains(of pools: [Pool]) {
    let names = Set(inForce.desired.pools.map(\.name))
    for pool in pools where !names.contains(pool.name) { formerDrains[pool.name] = pool.drain }
    formerDrains = formerDrains.filter { !names.contains($0.key) }
  }

  /// Forgets removed pools without backends.
  mutating func forgetDrains(except installed: InstalledState) {
    guard !formerDrains.isEmpty else { return }
    let members = installed.index.members
    formerDrains = formerDrains.filter { members[$0.key] != nil }
  }
}

/// How a reload ended.
struct ReloadOutcome: Sendable {
  var at: Moment
  /// Why it failed; nil: it was applied.
  var failure: String?
  /// The error that made it fail; nil where the file itself was refused.
  var error: (any Error)?
  /// What is wrong with the files.
  var diagnostics: [Diagnostic] = []

  var isSuccessful: Bool { failure == nil }

  enum Result: String, CaseIterable {
    case applied
    /// The files have mistakes.
    case invalid
    /// Files could not be read, or not in time.
    case unread
    /// Connections would break, or a limit is exceeded.
    case refused
    /// The data plane failed; the reload is tried again.
    case failed
  }

  var result: Result {
    if isSuccessful { return .applied }
    let errors = diagnostics.filter { $0.severity == .error }
    if !errors.isEmpty { return errors.allSatisfy { $0.code == .unreadableFile } ? .unread : .invalid }
    return error == nil || error is PlanError ? .refused : .failed
  }
}
