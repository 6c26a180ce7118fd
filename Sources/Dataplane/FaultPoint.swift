// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Moments of a change at which a test can end the process, as `kill -9` would: between stores, which no tracer of
/// system calls sees. Debug builds only: `SLUICE_FAULT=NAME` or `NAME:COUNT`, the COUNTth time it passes there.
enum FaultPoint: String, CaseIterable {
  /// Half of a table's slots are written.
  case amongSlots = "among-slots"
  /// A table is written whole, and its pool does not name it yet.
  case beforeFlip = "before-flip"
  /// The pool names its new table, and its services name the former one.
  case amongFlips = "among-flips"
  /// The pool and its services name the new table.
  case afterFlip = "after-flip"
  /// A backend has its record, and its number no name yet.
  case beforeBackendName = "before-backend-name"
  /// A service has its record, and its key does not lead to it yet.
  case beforeServiceKey = "before-service-key"
  /// A service has its record under a new id, and its key leads to the former one, if to any.
  case amongService = "among-service"
  /// A key leads to its service in the hash map, and not yet in its bucket.
  case beforeBucket = "before-bucket"
  /// A backend has a new outer source or MTU.
  case afterPath = "after-path"
  /// A backend has a new next hop.
  case afterNextHop = "after-next-hop"
  /// A backend has become usable, draining or leaving, or has stopped being so.
  case afterBackendFlag = "after-backend-flag"
  /// All steps are done, and not yet checked.
  case beforeVerification = "before-verification"
  /// A new set holds the state and is not pinned yet.
  case beforePins = "before-pins"
  /// A new set is pinned whole, and the old one is in force.
  case beforeLink = "before-link"
  /// The link runs the new program.
  case afterLink = "after-link"
  /// Some flow entries are carried over.
  case amongFlows = "among-flows"
  /// All is carried over, and the old set is still there.
  case beforeRemoval = "before-removal"

  #if DEBUG
    /// What a test does at each point that this thread passes.
    @TaskLocal static var observer: (@Sendable (FaultPoint) -> Void)?

    private static let chosen: (point: FaultPoint, count: Int)? = {
      guard let text = unsafe getenv("SLUICE_FAULT").map({ unsafe String(cString: $0) }) else { return nil }
      let parts = text.split(separator: ":")
      guard let name = parts.first, let point = FaultPoint(rawValue: String(name)) else { return nil }
      return (point, parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    }()
    /// Written by the one writer of the maps only.
    nonisolated(unsafe) private static var passed = 0
  #endif

  func pass() {
    #if DEBUG
      Self.observer?(self)
      guard let chosen = Self.chosen, chosen.point == self else { return }
      unsafe Self.passed += 1
      if unsafe Self.passed == chosen.count { kill(getpid(), SIGKILL) }
    #endif
  }
}
