// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

extension Draft {
  /// Whether the kernel's tables have room for it all. What passes a limit first is where it is reported.
  ///
  /// - Returns: whether all is within the limits.
  func checkLimits() -> Bool {
    let values = limits.values
    let services = self.services.map { service in (service.cursor, virtualServices(in: service)) }
    var fits = fit("services", values.services, "virtual services (VIPs × ports)", services)
    fits = fit("pools", values.pools, "pools", pools.map { ($0.name.cursor, 1) }) && fits
    fits =
      fit("backends", values.backends, "backends", pools.flatMap(\.backends).map { ($0.cursor, 1) }) && fits
    let backends = Dictionary(pools.map { ($0.name.value, $0.backends.count) }) { first, _ in first }
    let pairs = self.services.map { service in
      (service.cursor, virtualServices(in: service) * (service.pool.flatMap { backends[$0.value] } ?? 0))
    }
    fits = fit("pairs", values.pairs, "pairs of virtual service and backend", pairs) && fits
    var largest = 0
    let slots = pools.map { pool in
      // The spare table grows with the largest one.
      let size = tableSize(of: pool)
      defer { largest = max(largest, size) }
      return (pool.tableSize?.cursor ?? pool.name.cursor, size + max(0, size - largest))
    }
    return fit("slots", values.slots, "slots (all tables and a spare of the largest)", slots) && fits
  }

  private func virtualServices(in service: ServiceDraft) -> Int {
    service.vips.count * service.ports.reduce(0) { $0 + $1.value.ports.count }
  }

  private func fit(_ key: String, _ limit: Int, _ what: String, _ parts: [(Cursor, Int)]) -> Bool {
    let total = parts.reduce(0) { $0 + $1.1 }
    guard total > limit else { return true }
    var sum = 0
    for (cursor, count) in parts {
      sum += count
      guard sum > limit else { continue }
      cursor.error(
        .limitExceeded, "\(total) \(what) are needed; limits.\(key) is \(limit)",
        related: limits.places[key].map { ($0, "the limit is set") })
      break
    }
    return false
  }
}
