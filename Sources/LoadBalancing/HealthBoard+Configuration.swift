// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// Takes over what is to be checked, and what the operator wants. The next decision is due at once.
  ///
  /// What is known of a target stays while its backend keeps its address and is asked the same kind of question.
  /// Another target of a backend that is known begins as healthy as the backend is.
  /// - Parameter known: whether packets may go to a backend with this address, as the installed state shows; nil: it
  ///   shows no such backend, and the check says what it begins as. Asked only of backends that the board does not
  ///   know.
  public mutating func configure(
    _ desired: DesiredState, at now: Duration, known: (BackendKey, IPAddress) -> Bool?
  ) {
    let services = Dictionary(grouping: desired.services, by: \.pool)
    let knownPools = Dictionary(uniqueKeysWithValues: pools.map { ($0.name, $0) })
    var next = HealthBoard()
    for pool in desired.pools {
      guard let check = pool.health.check else { continue }
      let ways = check.ways(by: services[pool.name] ?? [])
      next.pools.append((knownPools[pool.name] ?? PoolTracker(pool)).emptied(for: pool))
      for backend in pool.backends {
        let key = BackendKey(pool: pool.name, backend: backend.name)
        let before = member(key).flatMap { $0.address == backend.address ? $0 : nil }
        let installed = before == nil ? known(key, backend.address) : nil
        next.add(backend, key, before: before, installed: installed)
        let startsUp = before?.state.isHealthy ?? installed ?? (check.start == .up)
        for way in ways {
          let job = way.job(of: key, at: backend.address, check)
          let tracker = before == nil ? nil : tracker(of: job)
          next.add(job, tracker ?? HealthTracker(startsUp: startsUp, at: now))
        }
      }
    }
    next.latest = latest
    next.corroboration = corroboration
    next.judged = judged.filter { next.backends[$0] != nil }
    next.corroboration.hasSeveralBackends = next.judged.count > 1
    next.pending.reset(next.pools, at: now)
    self = next
  }

  /// What is known of a target, where its answers still mean what they meant.
  private func tracker(of job: Job) -> HealthTracker? {
    guard let place = targets[job.target], entries[place].job.check.kind.name == job.check.kind.name else {
      return nil
    }
    return entries[place].tracker
  }

  private mutating func add(
    _ backend: Backend, _ key: BackendKey, before: PoolTracker.Member?, installed: Bool?
  ) {
    let pool = pools.count - 1
    var member = before ?? PoolTracker.Member(backend, isInUse: installed ?? false)
    member.follow(backend)
    backends[key] = Place(pool: pool, member: pools[pool].members.count)
    pools[pool].members.append(member)
  }

  private mutating func add(_ job: Job, _ tracker: HealthTracker) {
    guard let backend = backends[job.target.backend] else { return }
    jobs[job.target] = job
    targets[job.target] = entries.count
    entries.append(Entry(job: job, tracker: tracker, backend: backend, phase: job.target.phase))
    pools[backend.pool].members[backend.member].targets.add(tracker.state)
  }
}

extension PoolTracker {
  /// With what the operator wants now, and no members yet.
  fileprivate func emptied(for pool: Pool) -> PoolTracker {
    var tracker = self
    tracker.policy = pool.health
    tracker.require = pool.require
    tracker.members = []
    return tracker
  }
}
