// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension Draft {
  /// Whether the kernel's tables have room for it all. What passes a limit first is where it is reported.
  ///
  /// - Returns: whether all is within the limits.
  func checkLimits() -> Bool {
    let values = limits.values
    let services = self.services.lazy.map { service in (service.cursor, virtualServices(in: service)) }
    var fits = fit("services", values.services, "virtual services (VIPs × ports)", services)
    fits =
      fit("pools", values.pools, "pools", pools.lazy.map { ($0.name.cursor, 1) }, unread: unreadPools) && fits
    fits =
      fit(
        "backends", values.backends, "backends", pools.lazy.flatMap(\.backends).map { ($0.cursor, 1) },
        total: pools.reduce(0) { $0 + $1.backends.count }) && fits
    let backends = Dictionary(pools.lazy.map { ($0.name.value, $0.backends.count) }) { first, _ in first }
    let pairs = self.services.lazy.map { service in
      let count = service.pool.flatMap { backends[$0.value] }.map(NodeSettings.Limits.pairs(forBackends:))
      return (service.cursor, virtualServices(in: service) * (count ?? 0))
    }
    fits =
      fit(
        "pairs", values.pairs, "pair counters", pairs,
        meaning: " (for each virtual service one for each backend of its pool, rounded up to 16, 32, 64, …)")
      && fits
    let slots = sequence(state: (rest: pools[...], largest: 0)) { state -> (Cursor, Int)? in
      guard let pool = state.rest.popFirst() else { return nil }
      // The spare table grows with the largest one.
      let size = tableSize(of: pool)
      defer { state.largest = max(state.largest, size) }
      return (pool.tableSize?.cursor ?? pool.name.cursor, size + max(0, size - state.largest))
    }
    return fit("slots", values.slots, "slots (all tables and a spare of the largest)", slots) && fits
  }

  private func virtualServices(in service: ServiceDraft) -> Int {
    service.vips.count * service.ports.reduce(0) { $0 + $1.value.ports.count }
  }

  /// - Parameters:
  ///   - unread: parts that are only counted.
  ///   - total: of all parts, where adding them up takes time; nil: they are added up.
  private func fit(
    _ key: String, _ limit: Int, _ what: String, _ parts: some Sequence<(Cursor, Int)>, meaning: String = "",
    unread: Int = 0, total: Int? = nil
  ) -> Bool {
    let total = total ?? parts.reduce(unread) { $0 + $1.1 }
    guard total > limit else { return true }
    var sum = 0
    for (cursor, count) in parts {
      sum += count
      guard sum > limit else { continue }
      cursor.error(
        .limitExceeded, "\(total) \(what) are needed\(meaning); limits.\(key) is \(limit)",
        related: limits.locations[key].map { ($0, "the limit is set") })
      break
    }
    return false
  }
}
