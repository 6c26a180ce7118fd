// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// What the probes came to, for metrics.
struct CheckCounts: Sendable {
  struct Series: Hashable, Comparable {
    var backend: BackendKey
    var type: String
    /// `ok`, or the layer that failed.
    var result: String

    static func < (left: Series, right: Series) -> Bool {
      (left.backend, left.type, left.result) < (right.backend, right.type, right.result)
    }
  }

  /// Without the backend's name: there may be thousands.
  struct Kind: Hashable, Comparable {
    var pool: String
    var type: String

    static func < (left: Kind, right: Kind) -> Bool { (left.pool, left.type) < (right.pool, right.type) }
  }

  private(set) var probes: [Series: UInt64] = [:]
  private(set) var durations: [Kind: Histogram] = [:]
  /// Of the health of every backend that is checked.
  private(set) var changes: [BackendKey: Changes] = [:]

  mutating func add(_ outcome: ProbeOutcome, of job: HealthBoard.Job) {
    let (backend, type) = (job.target.backend.named, job.check.kind.name)
    let result = outcome.failure?.layer.rawValue ?? "ok"
    probes[Series(backend: backend, type: type, result: result), default: 0] += 1
    durations[Kind(pool: backend.pool, type: type), default: Histogram()].add(outcome.duration)
  }

  mutating func add(_ transition: HealthTransition, at now: Date = Date()) {
    changes[transition.backend.named]?.add(at: now)
  }

  /// Drops the counts of what is no longer checked.
  mutating func follow(_ jobs: some Collection<HealthBoard.Job>, at now: Date = Date()) {
    var backends: [BackendKey: Changes] = [:]
    var asked: Set<Kind> = []
    for job in jobs {
      let backend = job.target.backend.named
      backends[backend] = changes[backend] ?? Changes(since: now)
      asked.insert(Kind(pool: backend.pool, type: job.check.kind.name))
    }
    changes = backends
    probes = probes.filter {
      backends[$0.key.backend] != nil && asked.contains(Kind(pool: $0.key.backend.pool, type: $0.key.type))
    }
    durations = durations.filter { asked.contains($0.key) }
  }
}

extension BackendKey {
  /// The key by which metrics count: a backend that is leaving and another one of its name are one series.
  fileprivate var named: BackendKey { BackendKey(pool: pool, backend: backend) }
}
