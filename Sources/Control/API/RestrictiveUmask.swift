// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// A umask(2) of 077 until `end()`: other users cannot connect to a new socket before its group and mode are set. Several
/// may overlap; the last one to end restores the former mask.
final class RestrictiveUmask: Sendable {
  private struct Mask {
    var holders = 0
    var before: mode_t = 0
  }

  private static let mask = Mutex(Mask())
  private let hasEnded = Mutex(false)

  init() {
    Self.mask.withLock {
      if $0.holders == 0 { $0.before = umask(0o077) }
      $0.holders += 1
    }
  }

  /// Has no effect the second time.
  func end() {
    let isFirst = hasEnded.withLock { ended in
      defer { ended = true }
      return !ended
    }
    guard isFirst else { return }
    Self.mask.withLock {
      $0.holders -= 1
      if $0.holders == 0 { _ = umask($0.before) }
    }
  }

  deinit { end() }
}
