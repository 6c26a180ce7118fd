// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// What is installed and no longer desired, but may still have flows.
  public struct Remainder: Hashable, Sendable {
    /// A backend that is leaving, or that is replaced and still gets new flows.
    public struct Leaving: Hashable, Sendable {
      public var number: BackendNumber
      public var pool: String
      public var name: String
      public var address: IPAddress
      /// Whether packets may go to it.
      public var isUsable: Bool

      public init(number: BackendNumber, pool: String, name: String, address: IPAddress, isUsable: Bool) {
        (self.number, self.pool, self.name) = (number, pool, name)
        (self.address, self.isUsable) = (address, isUsable)
      }

      public var key: BackendKey { BackendKey(pool: pool, backend: name, leaving: number) }
    }

    public var leaving: [BackendNumber: Leaving] = [:]
    /// Services that moved away from a pool, as services of that pool, because older flows still use its backends.
    public var moved: [VirtualService] = []

    public init() {}

    /// Whether the same checks result. Usability is ignored, because it follows from the checks.
    public func isAlike(_ other: Remainder) -> Bool {
      moved == other.moved && leaving.keys == other.leaving.keys
    }
  }
}

extension InstalledState {
  /// The part of this state that `desired` does not have and flows may still use.
  public func remainder(beside desired: DesiredState) -> HealthBoard.Remainder {
    let installed = renamed(to: desired)
    var remainder = HealthBoard.Remainder()
    for backend in installed.backends(beside: desired) {
      remainder.leaving[backend.number] = HealthBoard.Remainder.Leaving(
        number: backend.number, pool: backend.pool, name: backend.name, address: backend.address,
        isUsable: backend.isUsable)
    }
    remainder.moved = installed.services.values.sorted { $0.service.key < $1.service.key }.compactMap {
      service in
      service.move.map { move in
        var older = service.service
        older.pool = move.pool
        return older
      }
    }
    return remainder
  }

  private func backends(beside desired: DesiredState) -> [Backend] {
    let count = desired.pools.reduce(0) { $0 + $1.backends.count }
    // After a complete plan, desired and installed agree, so equal counts mean that nothing remains. There may be
    // 100,000 backends.
    if count == backends.count, index.leaving.isEmpty { return [] }
    let wanted = Dictionary(
      desired.pools.map { pool in
        let backends = pool.backends.map { ($0.name, $0.address) }
        return (pool.name, Dictionary(backends, uniquingKeysWith: { first, _ in first }))
      }, uniquingKeysWith: { first, _ in first })
    return backends.values.filter { $0.isLeaving || wanted[$0.pool]?[$0.name] != $0.address }
  }
}

extension HealthBoard {
  /// Continues the checks of leaving backends with their pool's check, or with their last check if the pool is gone.
  /// - Parameters:
  ///   - old: the board before.
  ///   - services: by pool.
  mutating func check(
    _ leaving: Remainder.Leaving, of pool: Pool?, _ services: [VirtualService], _ old: HealthBoard,
    _ knowledge: Knowledge, at now: Duration
  ) {
    let before = old.member(leaving.key) ?? old.member(leaving.configuredKey, at: leaving.address)
    let jobs = jobs(of: leaving, pool, services, knowledge)
    guard !jobs.isEmpty else { return }
    var member = before ?? PoolTracker.Member(leaving)
    member.becomeLeaving(PoolTracker.Member(leaving))
    add(member, leaving.key, to: position(ofPool: leaving.pool))
    let startsUp = before?.state.isHealthy ?? leaving.isUsable
    for job in jobs {
      let tracker = old.tracker(of: job) ?? knowledge.tracker(of: job)
      add(job, tracker ?? HealthTracker(startsUp: startsUp, isKnown: true, at: now))
    }
  }

  private func jobs(
    of leaving: Remainder.Leaving, _ pool: Pool?, _ services: [VirtualService], _ knowledge: Knowledge
  ) -> [Job] {
    if let pool {
      guard let check = pool.health.check else { return [] }
      let destinations = check.destinations(for: services)
      if !destinations.isEmpty {
        return destinations.map { $0.job(of: leaving.key, at: leaving.address, check) }
      }
    }
    let known = knowledge.jobs(at: leaving.address).filter {
      $0.target.backend == leaving.key || $0.target.backend == leaving.configuredKey
    }
    return Dictionary(grouping: known, by: \.target.vip).values.compactMap { jobs in
      // Its own targets, not those of a configured backend with the same name.
      var job = jobs.max { ($0.target.backend.leaving ?? 0) < ($1.target.backend.leaving ?? 0) }
      job?.target.backend = leaving.key
      return job
    }.sorted { $0.target < $1.target }
  }

  private mutating func position(ofPool name: String) -> Int {
    if let index = pools.firstIndex(where: { $0.name == name }) { return index }
    pools.append(PoolTracker(gone: name))
    return pools.count - 1
  }
}

extension HealthBoard.Remainder.Leaving {
  fileprivate var configuredKey: BackendKey { BackendKey(pool: pool, backend: name) }
}

extension PoolTracker.Member {
  /// Keeps whether it is in use. Its targets must be added again.
  fileprivate mutating func becomeLeaving(_ leaving: PoolTracker.Member) {
    (name, administrative, counts) = (leaving.name, leaving.administrative, leaving.counts)
    (isKnown, self.leaving) = (true, leaving.leaving)
    targets = StateTally()
    leftUse = nil
    isKept = false
  }
}
