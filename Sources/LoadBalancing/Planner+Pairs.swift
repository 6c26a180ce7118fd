// SPDX-License-Identifier: Apache-2.0

/// Counters of services: a run for each, and one for the older flows of each that moved.
extension Planner {
  /// Takes counters that start from zero. Where they are short, counters that ended before are used again.
  /// - Parameter steps: the steps that the counters are taken for.
  mutating func takePairs(
    forBackends backends: Int, before steps: WritableKeyPath<Planner, [Plan.Step]>
  ) throws(PlanError) -> Range<Int> {
    let count = NodeSettings.Limits.pairs(forBackends: backends)
    if pairs.largestGap.count < count {
      reuseEndedPairs(in: steps)
      if pairs.largestGap.count < count { gatherPairs(count, in: steps) }
    }
    do throws(PlanError) {
      let run = try pairs.take(count, of: "pairs")
      self[keyPath: steps].append(.resetPairs(Array(run)))
      return run
    } catch {
      guard case .limitExceeded(let what, let limit, let needed, _) = error else { throw error }
      let passing = next.services.values.reduce(0) { $0 + ($1.move?.pairs.count ?? 0) }
      throw .limitExceeded(what: what, limit: limit, needed: needed, passing: passing)
    }
  }

  /// Waits for the packets that may still be counted where services of earlier steps were.
  private mutating func reuseEndedPairs(in steps: WritableKeyPath<Planner, [Plan.Step]>) {
    guard hasEndedPairs else { return }
    hasEndedPairs = false
    self[keyPath: steps].append(.waitForReaders)
    pairs = next.pairOccupancy(limit: limits.pairs)
  }

  /// Moves counters of services so that free ones come together, where that helps.
  private mutating func gatherPairs(_ count: Int, in steps: WritableKeyPath<Planner, [Plan.Step]>) {
    let items = next.services.map { (id: $0.key, run: $0.value.pairs) }
    guard let gathering = Gathering(items, in: pairs, until: count) else { return }
    for move in gathering.moves {
      guard var service = next.services[move.id], let pool = next.pools[service.service.pool] else {
        continue
      }
      (service.firstPair, service.pairCount) = (move.to.lowerBound, move.to.count)
      self[keyPath: steps] += [
        .resetPairs(Array(move.to)),
        .changeService(service, pool: pool.number, pairsBefore: move.from), .waitForReaders,
      ]
      next.services[move.id] = service
    }
    pairs = next.pairOccupancy(limit: limits.pairs)
  }
}

extension InstalledState {
  func pairOccupancy(limit: Int) -> Occupancy {
    Occupancy(services.values.map(\.pairs) + services.values.compactMap(\.move?.pairs), limit: limit)
  }
}
