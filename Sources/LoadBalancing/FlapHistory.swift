// SPDX-License-Identifier: Apache-2.0

/// How often a target went down recently, and the hold that results from it.
struct FlapHistory: Hashable, Sendable {
  /// How many times it went down, each time within `memory` of the one before.
  private(set) var falls = 0
  private var latest: Duration?
  private(set) var heldUntil: Duration?

  mutating func addFall(at now: Duration, _ damping: Damping) {
    if let latest, now - latest >= damping.memory { falls = 0 }
    falls += 1
    latest = now
    heldUntil = falls < 2 || damping.hold <= .zero ? nil : now + hold(damping)
  }

  mutating func endHold() { heldUntil = nil }

  func isHeld(at now: Duration) -> Bool { heldUntil.map { now < $0 } ?? false }

  /// From the second fall on: hold × 2^(falls − 2), at most `limit`.
  private func hold(_ damping: Damping) -> Duration {
    var hold = damping.hold
    for _ in 2..<falls where hold < damping.limit { hold *= 2 }
    return min(hold, damping.limit)
  }
}
