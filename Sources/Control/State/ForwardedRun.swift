// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What the kernel has counted for a service, by the places of a pool's backends. A service that moved has a run of its
/// pool, and one of the pool before.
struct ForwardedRun: Sendable {
  var service: VirtualService.Key
  var pool: String
  var counters: [Counter]

  /// What a backend of the pool was sent; nil: it has no place yet.
  subscript(backend: InstalledState.Backend) -> Counter? { self[pair: backend.pair] }

  subscript(pair place: Int) -> Counter? { counters.indices.contains(place) ? counters[place] : nil }
}

/// Which counters of a reading count. A plan reads before its first step what it ends; every other reading says
/// nothing of what changed meanwhile. So nothing is counted twice, in whichever order the readings end.
enum ForwardedPart: Sendable {
  case all
  /// - Parameter pools: those whose services were read; nil: all.
  case unchanged(since: InstalledChanges, of: Set<String>?)
  case changed(InstalledChanges)

  var isWhole: Bool {
    switch self {
    case .all: true
    case .unchanged(let changes, let pools): pools == nil && changes.isEmpty
    case .changed: false
    }
  }

  func contains(_ pair: ForwardedTotals.Pair) -> Bool {
    switch self {
    case .all: true
    case .unchanged(let changes, _): !changes.concern(pair)
    case .changed(let changes): changes.concern(pair)
    }
  }
}
