// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// What health checks decided, and whether they run.
struct HealthView: Equatable, Sendable {
  /// The decision in force.
  var decision = HealthDecision()
  /// Backends and services that are installed, not desired any more, and still checked.
  var remainder = HealthBoard.Remainder()
  /// Why no check runs: the prober could not be started. nil: it runs, or the start has not come to it.
  var trouble: String?

  /// The name under which an installed backend is checked.
  func checkKey(of backend: InstalledState.Backend) -> BackendKey {
    let isLeaving = backend.isLeaving || remainder.leaving[backend.number] != nil
    return BackendKey(pool: backend.pool, backend: backend.name, leaving: isLeaving ? backend.number : nil)
  }
}
