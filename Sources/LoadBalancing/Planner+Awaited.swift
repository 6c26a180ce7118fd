// SPDX-License-Identifier: Apache-2.0

/// Make before break: a pool whose backends have no first verdict takes over no traffic.
extension Planner {
  /// Whether a pool in use keeps its table, and the backends that the table names, until the backends that replace them
  /// have their first verdicts.
  func isHeld(_ pool: Pool) -> Bool {
    guard desired.awaited.contains(pool.name), let old = installed.pools[pool.name] else { return false }
    return pool.selectsSlots(as: old)
      && desired.services.contains { service in
        installed.services[service.key]?.service.pool == pool.name
          && (service.pool == pool.name || desired.awaited.contains(service.pool))
      }
  }

  /// Whether a pool that is not desired any more keeps services until the awaited pool that they move to has its
  /// verdicts.
  func keepsServices(_ pool: String) -> Bool {
    !desired.awaited.isEmpty
      && desired.services.contains { service in
        desired.awaited.contains(service.pool) && installed.services[service.key]?.service.pool == pool
      }
  }

  /// The service to install now: with its old pool while its new pool is awaited; nil if it has no old pool.
  mutating func granted(_ service: VirtualService) -> VirtualService? {
    guard desired.awaited.contains(service.pool), let pool = desired.pool(named: service.pool) else {
      return service
    }
    let old = installed.services[service.key]?.service
    if old?.pool == service.pool { return service }
    let wait = untilFirstVerdicts(of: pool)
    effect.awaited.append(
      old.map {
        "service \(service.name) \(service.key) stays with pool \($0.pool) \(wait), then -> \(service.pool)"
      }
        ?? "service \(service.name) \(service.key) is not served \(wait), then -> \(service.pool)")
    return old
  }

  func untilFirstVerdicts(of pool: Pool) -> String {
    let limit = pool.health.check?.firstVerdictLimit ?? .zero
    let seconds = Double(limit.components.seconds) + Double(limit.components.attoseconds) / 1e18
    return
      "until the backends of pool \(pool.name) have their first health verdicts, for \(Int(seconds.rounded(.up))) s at most"
  }
}
