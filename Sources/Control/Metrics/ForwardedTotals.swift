// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What services and backends were sent since the daemon started, as counters that never go down.
///
/// The kernel counts for each pair of a service and a backend. Whatever ends takes the counts of its pairs along, so
/// that the sum of what is left is smaller than before: a collector takes that for a restart, and counts all of it
/// once more. Here only what pairs gained is added up.
struct ForwardedTotals {
  struct Pair: Hashable {
    var service: VirtualService.Key
    var backend: BackendNumber
  }

  private(set) var services: [VirtualService.Key: Counter] = [:]
  private(set) var backends: [BackendNumber: Counter] = [:]
  /// What pairs read as at the last look; nil: there was none.
  private var seen: [Pair: Counter]?

  /// Takes in what all pairs read as now. At the first look nothing counts: what was before, an earlier daemon told.
  mutating func note(_ pairs: [Pair: Counter]) {
    defer { seen = pairs }
    guard let seen else { return }
    for (pair, now) in pairs {
      let before = seen[pair] ?? Counter()
      // A pair that fell lost its older half, or began anew, and how far it had come by then nobody knows.
      guard now.packets >= before.packets, now.bytes >= before.bytes else { continue }
      let gain = now - before
      services[pair.service] = (services[pair.service] ?? Counter()) + gain
      backends[pair.backend] = (backends[pair.backend] ?? Counter()) + gain
    }
  }

  /// Forgets what is not installed any more; its number, or its key, may be another's next.
  mutating func keep(_ installed: InstalledState) {
    services = services.filter { installed.services[$0.key] != nil }
    backends = backends.filter { installed.backends[$0.key] != nil }
    seen = seen?.filter {
      installed.services[$0.key.service] != nil && installed.backends[$0.key.backend] != nil
    }
  }
}
