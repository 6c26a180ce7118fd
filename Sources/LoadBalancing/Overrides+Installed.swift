// SPDX-License-Identifier: Apache-2.0

extension InstalledState {
  /// The overrides that the difference between the installed state and the configuration implies, for a start that
  /// cannot read the saved ones.
  ///
  /// A backend that took no new flows stays drained; one that took no packets stays in maint. Installed backends stay,
  /// and missing ones stay removed. Weights other than 0 cannot be derived.
  /// - Parameters:
  ///   - isMeant: whether to derive an override of this backend.
  ///   - isOutByHealth: whether health checks, not an operator, took the backend out of use.
  public func overridesShown(
    over configured: DesiredState, provenance: Provenance, where isMeant: (BackendKey) -> Bool,
    isOutByHealth: (BackendKey, IPAddress) -> Bool
  ) -> [BackendOverride] {
    configured.pools.filter { pools[$0.name] != nil }.flatMap { pool in
      let shares = slotCounts(of: pool.name)
      let present = Dictionary(
        backends(of: pool.name).filter { !$0.isLeaving }.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
      let shown =
        pool.backends.map { ($0.name, present[$0.name], Optional($0)) }
        + present.values.filter { pool.backend(named: $0.name) == nil }.map { ($0.name, Optional($0), nil) }
      return shown.compactMap { name, installed, configured -> BackendOverride? in
        let key = BackendKey(pool: pool.name, backend: name)
        guard isMeant(key) else { return nil }
        var override = BackendOverride(pool: pool.name, backend: name, provenance: provenance)
        guard let installed else {
          override.presence = .removed
          return override
        }
        if configured?.address != installed.address {
          // Another address in the configuration is a new backend, not a runtime change.
          guard configured == nil else { return nil }
          override.presence = .added(installed.address)
        }
        override.state = installed.state(
          isOutByHealth: isOutByHealth(key, installed.address), wanted: configured?.state ?? .ready)
        let takesNone = (shares[installed.number] ?? 0) == 0 && shares.keys.contains { $0 != 0 }
        if installed.isUsable, !installed.isDraining, takesNone, configured?.weight != 0 {
          override.weight = 0
        }
        let isNothing = override.presence == .asConfigured && override.state == nil && override.weight == nil
        return isNothing ? nil : override
      }
    }
  }
}

extension InstalledState.Backend {
  /// The administrative state that follows from the installed one; nil if it is `wanted`.
  fileprivate func state(isOutByHealth: Bool, wanted: AdministrativeState) -> AdministrativeState? {
    let derived: AdministrativeState
    if isDraining {
      derived = .drain
    } else if isUsable {
      derived = .ready
    } else if isOutByHealth {
      derived = wanted
    } else {
      derived = .maint
    }
    return derived == wanted ? nil : derived
  }
}
