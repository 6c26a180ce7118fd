// SPDX-License-Identifier: Apache-2.0

extension InstalledState {
  /// The overrides that what is installed shows against the configuration, for a start that cannot read those saved.
  ///
  /// What took no new flows, or no packets at all, goes on so; what is installed stays and what is not stays away.
  /// Weights other than 0 are not shown by it.
  /// - Parameters:
  ///   - isMeant: whether an override of a backend is looked for.
  ///   - isOutByHealth: whether health, and no operator, keeps a backend out of use.
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
  /// The state that it shows where that is not the one wanted.
  fileprivate func state(isOutByHealth: Bool, wanted: AdministrativeState) -> AdministrativeState? {
    let shown: AdministrativeState =
      isDraining
      ? .drain : isUsable || isOutByHealth ? (wanted == .ready || isUsable ? .ready : wanted) : .maint
    return shown == wanted ? nil : shown
  }
}
