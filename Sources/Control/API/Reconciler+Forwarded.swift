// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What the kernel has counted for a service, by the places of a pool's backends.
struct ForwardedRun {
  var service: VirtualService.Key
  var pool: String
  /// Whether the service went to another pool since.
  var isOfOlderFlows: Bool
  var counters: [Counter]

  /// What a backend of the pool was sent; nil: it has no place yet.
  subscript(backend: InstalledState.Backend) -> Counter? {
    counters.indices.contains(backend.pair) ? counters[backend.pair] : nil
  }
}

extension Reconciler {
  /// - Parameter pools: nil: all.
  func forwardedRuns(of pools: Set<String>? = nil) throws(DataplaneError) -> [ForwardedRun] {
    var runs: [ForwardedRun] = []
    for (key, service) in installed.services {
      let pool = service.service.pool
      if pools?.contains(pool) ?? true {
        let counters = try forwarder.forwarded(service)
        runs.append(ForwardedRun(service: key, pool: pool, isOfOlderFlows: false, counters: counters))
      }
      if let move = service.move, pools?.contains(move.pool) ?? true {
        let counters = try forwarder.forwarded(move)
        runs.append(ForwardedRun(service: key, pool: move.pool, isOfOlderFlows: true, counters: counters))
      }
    }
    return runs
  }
}
