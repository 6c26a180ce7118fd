// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Logging

/// What was found in the maps that no daemon wrote.
struct MapDamage {
  /// When it was last found; nil: never.
  private(set) var at: ContinuousClock.Instant?
  /// The latest findings, a sentence each.
  private(set) var latest: [String] = []
  /// Findings since the start.
  private(set) var count = 0
  /// How far the comparison has come.
  var patrol = MapPatrol()

  mutating func note(_ findings: [String]) {
    guard !findings.isEmpty else { return }
    at = .now
    latest = findings
    count += findings.count
  }

  /// Findings as a text of bounded length.
  static func summary(_ findings: [String]) -> String {
    let more = findings.count > 5 ? " and \(findings.count - 5) more" : ""
    return findings.prefix(5).joined(separator: "; ") + more
  }

  /// How long an alarm tells of it.
  static let alarmDuration = Duration.seconds(3600)
}

extension Reconciler {
  /// Notes damage that is repaired or about to be.
  func note(damage findings: [String]) {
    guard !findings.isEmpty else { return }
    damage.note(findings)
    for finding in findings.prefix(20) {
      logger.error("damaged maps are repaired: another process wrote them", metadata: ["what": "\(finding)"])
    }
    if findings.count > 20 {
      logger.error("damaged maps are repaired", metadata: ["more": "\(findings.count - 20)"])
    }
    events.append(
      type: "daemon", object: "maps", new: "repaired", reason: MapDamage.summary(findings))
  }

  /// Compares a part of the maps with what is installed, and repairs what differs. To be called regularly.
  func patrolMaps() throws(DataplaneError) {
    try lookAgain()
    note(damage: try forwarder.repairNext(&damage.patrol, installed, nextHops: ways.mapValues(\.state)))
  }
}
