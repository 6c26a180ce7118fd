// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// What the probes came to, for metrics.
struct CheckCounts {
  struct Series: Hashable, Comparable {
    var backend: BackendKey
    var type: String
    /// `ok`, or the layer that failed.
    var result: String

    static func < (left: Series, right: Series) -> Bool {
      (left.backend, left.type, left.result) < (right.backend, right.type, right.result)
    }
  }

  /// How long probes took, in buckets of Prometheus' kind. Without the backend's name: there may be thousands.
  struct Histogram {
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
    /// Of each bucket alone; the last one has no bound.
    private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    private(set) var seconds = 0.0

    mutating func add(_ duration: Duration) {
      let value = duration.seconds
      counts[Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count] += 1
      seconds += value
    }
  }

  struct Kind: Hashable, Comparable {
    var pool: String
    var type: String

    static func < (left: Kind, right: Kind) -> Bool { (left.pool, left.type) < (right.pool, right.type) }
  }

  private(set) var probes: [Series: UInt64] = [:]
  private(set) var durations: [Kind: Histogram] = [:]
  private(set) var transitions: [BackendKey: UInt64] = [:]

  mutating func add(_ outcome: ProbeOutcome, of job: HealthBoard.Job) {
    let (backend, type) = (job.target.backend, job.check.kind.name)
    let result = outcome.failure?.layer.rawValue ?? "ok"
    probes[Series(backend: backend, type: type, result: result), default: 0] += 1
    durations[Kind(pool: backend.pool, type: type), default: Histogram()].add(outcome.duration)
  }

  mutating func add(_ transition: HealthTransition) { transitions[transition.backend, default: 0] += 1 }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
