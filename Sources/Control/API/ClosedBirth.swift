// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// While one of these has not ended, what the process creates is its own alone (umask(2)): a socket is born closed, and
/// nobody connects before it is given to its group. Several may overlap; the last one puts back the mask that was.
final class ClosedBirth: Sendable {
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
