// SPDX-License-Identifier: Apache-2.0

extension FlowCensus {
  /// Whether the drain of a backend was over when the census was taken.
  /// - Parameter elapsed: seconds since it began to drain. Before that, an unknown flow of a stable slot left no trace.
  public func endsDrain(of number: BackendNumber, after elapsed: Int, _ drain: Drain) -> Bool {
    Drain.isOver(
      flows: live[number, default: 0], lastNew: lastUnknown[number].map(Double.init), after: Double(elapsed),
      quiet: drain.quiet)
  }

  /// Leaving backends that can go: their drain is over, or took too long.
  /// - Parameters:
  ///   - elapsed: seconds since each began to leave; those that are absent have just begun.
  ///   - pools: the pools of the configuration; for others the drain is as by default.
  public func endedLeaves(
    in installed: InstalledState, elapsed: [BackendNumber: Int], pools: [Pool]
  ) -> Set<BackendNumber> {
    let drains = Dictionary(uniqueKeysWithValues: pools.map { ($0.name, $0.drain) })
    let ended = installed.backends.values.filter { backend in
      guard backend.isLeaving, let elapsed = elapsed[backend.number] else { return false }
      let drain = drains[backend.pool] ?? Drain()
      return elapsed > drain.timeout || endsDrain(of: backend.number, after: elapsed, drain)
    }
    return Set(ended.map(\.number))
  }
}
