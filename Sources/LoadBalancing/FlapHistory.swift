// SPDX-License-Identifier: Apache-2.0

/// How often something went down lately, and how long it is held down therefore.
struct FlapHistory: Hashable, Sendable {
  /// Times that it went down, each within the memory of the one before.
  private(set) var falls = 0
  private var latest: Duration?
  private(set) var heldUntil: Duration?

  mutating func fall(at now: Duration, _ damping: Damping) {
    if let latest, now - latest >= damping.memory { falls = 0 }
    falls += 1
    latest = now
    heldUntil = falls < 2 || damping.hold <= .zero ? nil : now + hold(damping)
  }

  mutating func recover() { heldUntil = nil }

  func isHeld(at now: Duration) -> Bool { heldUntil.map { now < $0 } ?? false }

  /// hold × 2^(falls − 2), at most the limit; for the second fall on.
  private func hold(_ damping: Damping) -> Duration {
    var hold = damping.hold
    for _ in 2..<falls where hold < damping.limit { hold *= 2 }
    return min(hold, damping.limit)
  }
}
