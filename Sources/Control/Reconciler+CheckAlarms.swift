// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing
internal import Probing

/// Alarms about checks that say nothing of backends, since this host is at fault or may be.
extension Reconciler {
  func checkAlarms() -> [(code: String, message: String, object: String, cure: String)] {
    guard let checks else { return [] }
    let unjudged = checks.state.withLock { $0.board.unjudged }
    let now = ProbeClock.now
    let frozen = unjudged.filter { target in
      target.record.frozenSince.map { now - $0 >= target.check.detection } ?? false
    }
    let doubted = unjudged.filter(\.record.isDoubted)
    var found: [(code: String, message: String, object: String, cure: String)] = []
    if let since = frozen.compactMap(\.record.frozenSince).min() {
      found.append(
        (
          "not-checked",
          "checks of \(names(frozen)) cannot be made, and their health is frozen since \(time(since, now)): "
            + reasons(frozen), "checks",
          "sluice check list; sluice check run POOL/BACKEND"
        ))
    }
    if let since = doubted.map(\.record.since).min() {
      found.append(
        (
          "checks-doubted",
          "no probe of any backend has passed since \(time(since, now)), which may be the fault of this host: none "
            + "goes down for that for \(Int(Corroboration.doubt / .seconds(1))) s: \(reasons(doubted))",
          "checks",
          "look at this host's next hop, filters and clock; sluice check run POOL/BACKEND"
        ))
    }
    return found
  }

  private func names(_ targets: [HealthBoard.Unjudged]) -> String {
    let names = Set(targets.map { "\($0.target.backend)" }).sorted()
    return names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }

  /// The most frequent reasons, each once.
  private func reasons(_ targets: [HealthBoard.Unjudged]) -> String {
    var counts: [String: Int] = [:]
    for reason in targets.compactMap({ $0.record.latest?.outcome.failure?.reason }) {
      counts[reason, default: 0] += 1
    }
    return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3).map(\.key)
      .joined(separator: "; ")
  }

  private func time(_ instant: Duration, _ now: Duration) -> String {
    timestamp(Date(timeIntervalSinceNow: (instant - now).seconds))
  }
}
