// SPDX-License-Identifier: Apache-2.0

/// Who asked for a runtime change, when, and why.
public struct Provenance: Hashable, Sendable {
  public var by: String
  /// Seconds since 1970, UTC.
  public var at: Double
  public var reason: String?

  public init(by: String, at: Double, reason: String? = nil) {
    self.by = by
    self.at = at
    self.reason = reason
  }
}

/// What an operator changed at run time about one backend; it outlives reloads and restarts.
public struct BackendOverride: Hashable, Sendable {
  public enum Presence: Hashable, Sendable {
    /// As the configuration says.
    case asConfigured
    /// Added at run time with this address.
    case added(IPAddress)
    /// Taken away at run time.
    case removed
  }

  public var pool: String
  public var backend: String
  public var presence: Presence
  public var state: AdministrativeState?
  public var weight: Weight?
  public var provenance: Provenance

  public init(
    pool: String, backend: String, presence: Presence = .asConfigured, state: AdministrativeState? = nil,
    weight: Weight? = nil, provenance: Provenance
  ) {
    self.pool = pool
    self.backend = backend
    self.presence = presence
    self.state = state
    self.weight = weight
    self.provenance = provenance
  }

  /// Whether it says nothing that the configuration does not say.
  public func isRedundant(in configured: DesiredState) -> Bool {
    let backend = configured.pool(named: pool)?.backend(named: backend)
    switch presence {
    case .removed: return backend == nil
    case .added(let address) where backend?.address != address: return false
    case .added, .asConfigured:
      return (state == nil || state == backend?.state) && (weight == nil || weight == backend?.weight)
    }
  }
}

extension DesiredState {
  /// This state with the overrides in force. An override of a pool or backend that is not there has no effect.
  public func applying(_ overrides: [BackendOverride]) -> DesiredState {
    var state = self
    for override in overrides {
      guard let index = state.pools.firstIndex(where: { $0.name == override.pool }) else { continue }
      state.pools[index].apply(override)
    }
    return state
  }
}

extension Pool {
  fileprivate mutating func apply(_ override: BackendOverride) {
    let index = backends.firstIndex { $0.name == override.backend }
    switch (override.presence, index) {
    case (.removed, let index?):
      backends.remove(at: index)
    case (.added(let address), nil):
      backends.append(
        Backend(
          name: override.backend, address: address, weight: override.weight ?? 100,
          state: override.state ?? .ready))
    case (.asConfigured, let index?), (.added, let index?):
      if let state = override.state { backends[index].state = state }
      if let weight = override.weight { backends[index].weight = weight }
    case (.removed, nil), (.asConfigured, nil):
      break
    }
  }
}
