// SPDX-License-Identifier: Apache-2.0

/// The progress of a backend's drain, by one census. ``Drain/isOver(flows:lastNew:after:quiet:)`` is
/// the rule for its end.
public struct DrainProgress: Equatable, Sendable {
  /// Live flows that are known. The backend may have more.
  public var flows: Int
  /// Flows of which one packet was seen: new connections or stray packets.
  public var unconfirmed: Int
  /// Seconds since an unknown flow was last confirmed there, or could not be written; nil: never.
  public var lastUnknown: Double?
  /// Seconds since the drain began, as far as is known; nil: the backend does not drain.
  public var draining: Double?
  /// Seconds since the census; nil: there was none.
  public var age: Double?
  /// Seconds since the last packet of each flow for which that is known. Recorded while the backend drains.
  public var idle: [Double]

  public init(
    flows: Int, unconfirmed: Int, lastUnknown: Double?, draining: Double?, age: Double?, idle: [Double] = []
  ) {
    self.flows = flows
    self.unconfirmed = unconfirmed
    self.lastUnknown = lastUnknown
    self.draining = draining
    self.age = age
    self.idle = idle
  }

  /// - Parameters:
  ///   - census: nil: flows were not counted yet.
  ///   - age: seconds since the census.
  ///   - draining: seconds since the drain began; nil: the backend does not drain.
  public init(of number: BackendNumber, by census: FlowCensus?, age: Double, draining: Double?) {
    self.init(
      flows: census?.live[number] ?? 0, unconfirmed: census?.unconfirmed[number] ?? 0,
      lastUnknown: census?.lastUnknown[number].map { Double($0) + age }, draining: draining,
      age: census == nil ? nil : age, idle: (census?.idle[number] ?? []).map { Double($0) + age })
  }

  /// Seconds without a packet after which a flow counts as silent by default.
  public static let silentAfter = 300

  /// Seconds since a new flow was last seen, at most those since the drain began: an earlier flow does not show that
  /// new ones have stopped.
  public var lastNew: Double? {
    guard let draining else { return lastUnknown }
    return min(lastUnknown ?? draining, draining)
  }

  /// Whether no flow is left and no new one was seen for more than `quiet` seconds.
  public func isOver(quiet: Int) -> Bool { flows == 0 && isQuiet(for: quiet) }

  /// Flows that may have had a packet within the last `silent` seconds.
  public func activeFlows(silentAfter silent: Int) -> Int {
    max(flows - idle.count { $0 > Double(silent) }, 0)
  }

  /// Whether flows are left, but none with a packet within the last `silent` seconds, and no new flow was seen for more
  /// than `quiet` seconds.
  public func isOnlySilent(after silent: Int, quiet: Int) -> Bool {
    flows > 0 && activeFlows(silentAfter: silent) == 0 && isQuiet(for: quiet)
  }

  /// Judges the time before the census only: later flows are not known.
  private func isQuiet(for quiet: Int) -> Bool {
    guard let draining, let age else { return false }
    return Drain.isOver(
      flows: 0, lastNew: lastUnknown.map { $0 - age }, after: draining - age, quiet: quiet)
  }
}

extension InstalledState {
  /// Leaving backends that can be released: their drain is over, or has taken longer than its timeout.
  /// - Parameters:
  ///   - draining: seconds since each began to drain. Backends that are absent began just now.
  ///   - drain: the settings of a pool, by its name.
  ///   - age: seconds since the census.
  public func endedLeaves(
    by census: FlowCensus?, age: Double, draining: [BackendNumber: Double], drain: (String) -> Drain
  ) -> Set<BackendNumber> {
    let ended = backends.values.filter { backend in
      guard backend.isLeaving, let elapsed = draining[backend.number] else { return false }
      let drain = drain(backend.pool)
      return elapsed > Double(drain.timeout)
        || DrainProgress(of: backend.number, by: census, age: age, draining: elapsed)
          .isOver(quiet: drain.quiet)
    }
    return Set(ended.map(\.number))
  }
}
