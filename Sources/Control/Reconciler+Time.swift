// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging

/// What time brings: flows end, slots come to rest, drains are over, and what failed is tried again.
extension Reconciler {
  /// To be called every ten seconds.
  func tidy() {
    defer {
      reportReady()
      _ = alarms()
    }
    watchPins()
    tidyOverrides()
    attachProbeTunnel()
    do {
      unwritten.note(try forwarder.flowEvents())
      try patrolMaps()
      noteForwarded(try forwardedRuns())
      let census = try countFlows()
      settle(by: census)
      let ended = census.endedMoves(
        in: installed, now: try forwarder.now(), tickLength: forwarder.tickLength)
      tellDrained()
      let expired = expiredBackends()
      if applyTrouble != nil || !isFulfilled || !expired.isEmpty || !ended.isEmpty {
        try applyPlan(try plan(expired: expired, ended: ended))
        checkRemainder()
      }
    } catch {
      logger.error("tidying failed", metadata: ["error": "\(error)"])
    }
  }

  /// Lets slots come to rest whose time is over.
  /// - Parameter census: begun after the slots became what `installed` says.
  private func settle(by census: FlowCensus) {
    guard let now = try? forwarder.now() else { return }
    for (name, pool) in installed.pools {
      let settling = installed.settling(of: pool, tickLength: forwarder.tickLength)
      let rewrites = settling.rewrites(of: pool.slots, at: now, foreign: census.foreign[name] ?? [])
      guard !rewrites.isEmpty else { continue }
      forwarder.rewrite(rewrites, of: pool)
      for (index, slot) in rewrites { installed.pools[name]?.slots[index] = slot }
      let stable = rewrites.count { $0.slot.state == .stable }
      logger.debug(
        "slots came to rest",
        metadata: ["pool": "\(name)", "settling": "\(rewrites.count - stable)", "stable": "\(stable)"])
    }
  }

  /// Leaving backends whose drain is over, or has taken as long as it may.
  private func expiredBackends() -> Set<BackendNumber> {
    let leaving = installed.backends.values.filter(\.isLeaving)
    return Set(
      leaving.filter { backend in
        let drain = drain(of: backend.pool)
        return progress(of: backend).isOver(quiet: drain.quiet)
          || age(ofDrain: backend.number) > .seconds(drain.timeout)
      }.map(\.number))
  }

  /// A pool that is gone drains as pools do that say nothing about it.
  func drain(of pool: String) -> Drain { configuration.desired.pool(named: pool)?.drain ?? Drain() }
}
