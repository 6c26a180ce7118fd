// SPDX-License-Identifier: Apache-2.0

/// How long something took, in buckets of Prometheus' kind.
struct Histogram {
  /// Seconds.
  static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
  /// The count of each bucket, not cumulative; the last one has no bound.
  private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  private(set) var seconds = 0.0

  mutating func add(_ duration: Duration) {
    let value = duration.seconds
    counts[Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count] += 1
    seconds += value
  }
}

extension Duration {
  var seconds: Double { self / .seconds(1) }
}
