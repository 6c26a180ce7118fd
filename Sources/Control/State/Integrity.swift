// SPDX-License-Identifier: Apache-2.0

/// What other processes did to the pinned maps and to their pins.
struct Integrity: Equatable, Sendable {
  struct Damage: Equatable, Sendable {
    /// When damage was last found.
    var at: Moment
    /// The latest findings, a sentence each.
    var latest: [String]
    /// Findings since the start.
    var count: Int
  }

  struct PinTrouble: Equatable, Sendable {
    var at: Moment
    var what: String
  }

  private(set) var damage: Damage?
  private(set) var pins: PinTrouble?

  /// How long an alarm reports damage and removed pins.
  static let alarmDuration = Duration.seconds(3600)
  /// Findings that are logged one by one.
  private static let mostLines = 20

  /// Records damage that is repaired or is about to be.
  mutating func record(damage findings: [String], at now: Moment) -> [Notice] {
    guard !findings.isEmpty else { return [] }
    damage = Damage(at: now, latest: findings, count: (damage?.count ?? 0) + findings.count)
    var notices = findings.prefix(Self.mostLines).map {
      Notice.line(.error, "damaged maps are repaired: another process wrote them", ["what": $0])
    }
    if findings.count > Self.mostLines {
      let more = "\(findings.count - Self.mostLines)"
      notices.append(.line(.error, "damaged maps are repaired", ["more": more]))
    }
    notices.append(.event("daemon", "maps", new: "repaired", reason: Self.summary(findings)))
    return notices
  }

  /// Records that another process removed pins.
  /// - Parameter failure: why they could not be made again; nil: they were.
  mutating func record(removedPinsIn directory: String, failure: String?, at now: Moment) -> [Notice] {
    let what =
      failure.map { "somebody removed pins, and they cannot be made again: \($0)" }
      ?? "somebody removed pins, and they are made again"
    pins = PinTrouble(at: now, what: what)
    return [.line(.error, what, ["directory": directory])]
  }

  /// Findings as a text of bounded length.
  static func summary(_ findings: [String]) -> String {
    let more = findings.count > 5 ? " and \(findings.count - 5) more" : ""
    return findings.prefix(5).joined(separator: "; ") + more
  }
}
