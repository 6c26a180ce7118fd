// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import LoadBalancing
internal import Synchronization

/// The configuration and the state directory.
final class LiveFiles: Files {
  private let configuration: ConfigurationReader
  private let overrides: Mutex<OverrideStore>
  private let health: Mutex<HealthStore>

  init(_ configuration: ConfigurationReader, stateDirectory: String) {
    self.configuration = configuration
    overrides = Mutex(OverrideStore(directory: stateDirectory))
    health = Mutex(HealthStore(directory: stateDirectory))
  }

  func readSavedState(for configured: DesiredState) -> SavedState {
    let (loaded, setAside) = overrides.withLock { ($0.load(for: configured), $0.setAside) }
    return SavedState(
      overrides: loaded.overrides, unreadable: loaded.unreadable,
      rejected: loaded.rejected.map { SavedState.Rejected(backend: $0.backend, reason: $0.why) },
      setAside: setAside, absentees: health.withLock { $0.load() })
  }

  func loadConfiguration() -> ConfigurationReport {
    configuration.read(within: ConfigurationLoader.readingTime)
  }

  func save(_ changed: [BackendOverride]) throws(OverrideStoreError) {
    try overrides.withLock { store throws(OverrideStoreError) in try store.save(changed) }
  }

  func saveHealth(_ absentees: Set<HealthStore.Absentee>) throws {
    try health.withLock { try $0.save(absentees) }
  }

  func setAside() -> [String] { overrides.withLock { $0.setAside } }
}
