// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// Replaces the checks and the administrative states. The next decision is due at once.
  ///
  /// A target keeps its state while its backend keeps its address and the type of its check, even under another backend
  /// or pool name. A new target of a known backend starts with the backend's health. A new pool waits for the first
  /// verdicts on its backends.
  /// - Parameters:
  ///   - remainder: what is installed and no longer desired. It is checked until it is gone.
  ///   - known: whether the installed state has the backend with this address as usable; `nil`: it has no such backend,
  ///     and the check's initial state applies. Called only for backends that the board does not know.
  public mutating func configure(
    _ desired: DesiredState, beside remainder: Remainder = Remainder(), at now: Duration,
    known: (BackendKey, IPAddress) -> Bool?
  ) {
    let services = Dictionary(grouping: desired.services + remainder.moved, by: \.pool)
    let knownPools = Dictionary(pools.filter { !$0.isGone }.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    let knowledge = Knowledge(of: self)
    var next = HealthBoard()
    var succeeded: Set<String> = []
    for pool in desired.pools where pool.health.check != nil {
      var before = knownPools[pool.name]
      if before == nil {
        before = predecessor(of: pool, among: desired.pools, except: succeeded)
        if let name = before?.name { succeeded.insert(name) }
      }
      next.check(pool, services[pool.name] ?? [], before, self, knowledge, at: now, known: known)
    }
    let wanted = Dictionary(desired.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for leaving in remainder.leaving.values.sorted(by: { $0.number < $1.number }) {
      next.check(leaving, of: wanted[leaving.pool], services[leaving.pool] ?? [], self, knowledge, at: now)
    }
    next.latest = latest
    next.nextVerdict = next.pools.compactMap(\.nextVerdict).min()
    next.corroboration = corroboration
    next.judged = judged.filter { next.backends[$0] != nil }
    next.corroboration.hasSeveralBackends = next.judged.count > 1
    next.pending.reset(next.pools, at: now)
    self = next
  }

  /// Checks the backends of a pool.
  /// - Parameters:
  ///   - before: the pool's tracker, perhaps under another name.
  ///   - old: the previous board.
  private mutating func check(
    _ pool: Pool, _ services: [VirtualService], _ before: PoolTracker?, _ old: HealthBoard,
    _ knowledge: Knowledge, at now: Duration, known: (BackendKey, IPAddress) -> Bool?
  ) {
    guard let check = pool.health.check else { return }
    let destinations = check.destinations(for: services)
    let position = pools.count
    pools.append((before ?? PoolTracker(pool)).emptied(for: pool))
    let wasAwaited = before?.isAwaited ?? false
    let byAddress =
      before?.name == pool.name
      ? [:]
      : Dictionary(
        (before?.members ?? []).filter { $0.leaving == nil }.map { ($0.address, $0) },
        uniquingKeysWith: { first, _ in first })
    var isInstalled = false
    var unjudged: [Duration] = []
    for backend in pool.backends {
      let key = BackendKey(pool: pool.name, backend: backend.name)
      let jobs = destinations.map { $0.job(of: key, at: backend.address, check) }
      let before = old.member(key, at: backend.address) ?? byAddress[backend.address]
      // A backend without targets, as in a pool that no service used, was never checked.
      let same = before.flatMap { $0.targets.isEmpty ? nil : $0 }
      let installed = same == nil ? known(key, backend.address) : nil
      let trackers = jobs.map { old.tracker(of: $0) ?? knowledge.tracker(of: $0) }
      let isAssumed = same.map { $0.isKnown || !wasAwaited } ?? (installed != nil || check.start == .up)
      let startsUp = same?.state.isHealthy ?? installed ?? (check.start == .up)
      isInstalled = isInstalled || installed != nil
      var member = same ?? PoolTracker.Member(backend, isInUse: installed ?? false, isKnown: false)
      member.isKnown = isAssumed || trackers.allSatisfy { $0 != nil }
      member.configure(as: backend)
      add(member, key, to: position)
      for (job, tracker) in zip(jobs, trackers) {
        let tracker = tracker ?? HealthTracker(startsUp: startsUp, isKnown: isAssumed, at: now)
        add(job, tracker)
        if member.counts, !tracker.isJudged { unjudged.append(tracker.origin + check.firstVerdictLimit) }
      }
    }
    pools[position].await(unjudged, isNew: before == nil, isInstalled: isInstalled)
  }

  /// The state of a target, if its check still has the same meaning.
  func tracker(of job: Job) -> HealthTracker? {
    guard let index = targets[job.target] else { return nil }
    let known = entries[index].job
    guard known.address == job.address, known.check.kind.name == job.check.kind.name else { return nil }
    return entries[index].tracker
  }

  /// A backend, while it has this address.
  func member(_ key: BackendKey, at address: IPAddress) -> PoolTracker.Member? {
    member(key).flatMap { $0.address == address ? $0 : nil }
  }

  mutating func add(_ member: PoolTracker.Member, _ key: BackendKey, to pool: Int) {
    backends[key] = Position(pool: pool, member: pools[pool].members.count)
    pools[pool].members.append(member)
  }

  mutating func add(_ job: Job, _ tracker: HealthTracker) {
    guard let backend = backends[job.target.backend] else { return }
    jobs[job.target] = job
    targets[job.target] = entries.count
    if tracker.record.isDoubted { doubted += 1 }
    if tracker.needsProof { unproven.insert(entries.count) }
    entries.append(Entry(job: job, tracker: tracker, backend: backend, phase: job.target.phase))
    pools[backend.pool].members[backend.member].targets.add(tracker.state)
  }
}
