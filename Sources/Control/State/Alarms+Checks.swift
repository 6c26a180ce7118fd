// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// Alarms about checks that give no information about backends, because this host is or may be at fault.
extension Alarms {
  /// Without a prober every backend counts as healthy.
  static func prober(_ snapshot: Snapshot) -> [Alarm] {
    let checked = snapshot.configuration.inForce.desired.pools.filter { $0.health.check != nil }.map(\.name)
    guard let trouble = snapshot.health.trouble, !checked.isEmpty else { return [] }
    return [
      Alarm(
        .checksNotStarted, "checks",
        "no backend of \(names(Set(checked))) is checked, and all count as healthy, also those that are down: the "
          + "prober could not be started: \(trouble)",
        cure:
          "raise the daemon's limits of descriptors and threads (LimitNOFILE=, TasksMax=), or the host's; tried "
          + "again every 10 s")
    ]
  }

  static func checks(_ board: HealthBoard?, at now: Moment) -> [Alarm] {
    guard let unjudged = board?.unjudged, !unjudged.isEmpty else { return [] }
    let frozen = unjudged.filter { target in
      target.record.frozenSince.map { now.uptime - $0 >= target.check.detection } ?? false
    }
    let doubted = unjudged.filter(\.record.isDoubted)
    var found: [Alarm] = []
    if let since = frozen.compactMap(\.record.frozenSince).min() {
      found.append(
        Alarm(
          .notChecked, "checks",
          "checks of \(names(Set(frozen.map { "\($0.target.backend)" }))) cannot be made, and their health is "
            + "frozen since \(time(since, now)): " + reasons(frozen),
          cure: "sluice check list; sluice check run POOL/BACKEND"))
    }
    if let since = doubted.map(\.record.since).min() {
      found.append(
        Alarm(
          .checksDoubted, "checks",
          "no probe of any backend has passed since \(time(since, now)), which may be the fault of this host: none "
            + "goes down for that for \(Int(Corroboration.doubt / .seconds(1))) s: \(reasons(doubted))",
          cure: "look at this host's next hop, filters and clock; sluice check run POOL/BACKEND"))
    }
    return found
  }

  /// The most frequent reasons, each once.
  private static func reasons(_ targets: [HealthBoard.Unjudged]) -> String {
    var counts: [String: Int] = [:]
    for reason in targets.compactMap({ $0.record.latest?.outcome.failure?.reason }) {
      counts[reason, default: 0] += 1
    }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3).map(\.key)
      .joined(separator: "; ")
  }

  private static func time(_ instant: Duration, _ now: Moment) -> String {
    now.wall.addingTimeInterval((instant - now.uptime).seconds).formatted(.iso8601)
  }
}
