// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// Plans for the data plane: one is carried out at a time, and the next one is made from its result.
extension ControlState {
  var isRunning: Bool { if case .running = phase { true } else { false } }

  var isStopping: Bool { if case .stopping = phase { true } else { false } }

  /// Whether what was in force before a failed plan is to be brought back although the daemon stops.
  private var bringsBack: Bool { isStopping && kernel.hasFailed && reported.hasBegun }

  /// Does what can be done next. Called at the end of every turn.
  mutating func advance(_ turn: Turn) {
    defer { stopWhenIdle() }
    beginChanges(turn)
    beginCensus(turn)
    guard kernel.isIdle, isRunning || isStopping else { return }
    if case .planning? = changes.current?.step { kernel.readAgain() }
    if kernel.knowledge == .doubtful {
      kernel.inFlight = .recovering
      let expected = view.configuration.inForce.desired.applying(view.overrides.inForce)
      return emit(.recover(expected, nextHops: view.uplinks.nextHops))
    }
    if isRunning, kernel.knowledge == .current { beforePlans(turn) }
    if kernel.isIdle, case .planning(let target)? = changes.current?.step {
      applyChange(target, turn)
      beginChanges(turn)
    }
    guard kernel.isIdle, kernel.knowledge == .current, isRunning || bringsBack else { return }
    followDesired(turn)
    if kernel.isIdle, isRunning { afterPlans() }
  }

  /// Does what plans must not put off for good: they may come in quick succession.
  private mutating func beforePlans(_ turn: Turn) {
    if kernel.wantedNextHops != .none { setNextHops() }
    followCensus(turn)
    if kernel.census.clearing == .overdue { clearFlows() }
    if kernel.isIdle, kernel.patrol == .overdue { patrol() }
  }

  /// Does what gives way to plans.
  private mutating func afterPlans() {
    clearFlows()
    if kernel.isIdle, kernel.patrol != .notWanted { patrol() }
  }

  private mutating func patrol() {
    kernel.patrol = .notWanted
    kernel.inFlight = .patrolling
    emit(.patrol(view.forwarding.installed, nextHops: view.uplinks.nextHops))
  }

  /// Makes a plan for what no plan has taken in: decisions of health checks, or a change that failed.
  private mutating func followDesired(_ turn: Turn) {
    let (expired, ended) = (kernel.expired, kernel.ended)
    guard !kernel.waitsForTick, !view.forwarding.isFulfilled || !expired.isEmpty || !ended.isEmpty
    else { return }
    kernel.expired = []
    kernel.ended = []
    do throws(PlanError) {
      let desired = view.forwarding.desired
      let plan = try view.plan(
        to: desired, in: turn, tickLength: start.tickLength, expired: expired, ended: ended
      ).plan
      if expired.isEmpty, ended.isEmpty { view.history.healthPlans += 1 }
      apply(Proposal(plan: plan, desired: desired), asked: nil, isOfChange: false)
    } catch {
      kernel.waitsForTick = true
      view.forwarding.applyTrouble = "\(error)"
      emit(.notice(.line(.error, "no plan", ["error": "\(error)"])))
      updateAlarms(turn)
    }
  }

  mutating func apply(
    _ proposal: Proposal, asked: Provenance?, isOfChange: Bool, repairing: InstalledState? = nil
  ) {
    kernel.begin(proposal.plan, from: view.forwarding.installed)
    // At the start any record may be repaired.
    let nextHops =
      repairing == nil
      ? view.uplinks.nextHops(to: proposal.plan.addressesWritten) : view.uplinks.nextHops
    kernel.inFlight = .applying(proposal, asked: asked, isOfChange: isOfChange, nextHops: nextHops)
    let policy = proposal.desired.packets
    emit(
      .apply(
        PlanApplication(
          plan: proposal.plan, nextHops: nextHops,
          policyBefore: proposal.plan.effect.servicesAdded.isEmpty ? nil : policy.whileServicesAreAwaited,
          policyAfter: proposal.desired.awaited.isEmpty ? policy : policy.whileServicesAreAwaited,
          counting: proposal.plan.endsPairs ? view.forwarding.installed : nil, repairing: repairing)))
  }

  /// The data plane has carried out a plan, or failed to.
  mutating func applied(_ result: Result<Applied, DataplaneError>, _ turn: Turn) {
    guard case .applying(let proposal, let asked, let isOfChange, let nextHops) = kernel.inFlight else {
      return
    }
    kernel.inFlight = .none
    if case .applying(let start) = phase { return startApplied(result, proposal, nextHops, start, turn) }
    switch result {
    case .success(let applied):
      kernel.waitsForTick = false
      installed(proposal, applied, nextHops, asked: asked, turn)
      if isOfChange {
        completeChange(turn)
      } else {
        updateProbePaths()
        checkRemainder(turn)
      }
    case .failure(let error):
      // What was desired before is brought back now or, where the kernel refuses that too, at the next tick.
      if !isOfChange { kernel.waitsForTick = kernel.hasFailed }
      kernel.hasFailed = true
      kernel.knowledge = .doubtful
      view.forwarding.fulfilled = nil
      view.forwarding.applyTrouble = "\(error)"
      emit(.notice(.line(.error, "a change was not applied", ["error": "\(error)"])))
      if isOfChange { changeFailedToApply(error, turn) }
    }
    reportReadiness()
    updateAlarms(turn)
  }

  /// A plan is in force.
  /// - Parameter nextHops: what new backends were given, by address.
  mutating func installed(
    _ proposal: Proposal, _ applied: Applied, _ nextHops: [IPAddress: NextHopState], asked: Provenance?,
    _ turn: Turn
  ) {
    let isStart = !reported.hasBegun
    let before = view.forwarding.installed
    if let forwarded = applied.forwarded {
      // The rest is counted by other readings, which may have been later than this one.
      let changes = InstalledChanges(by: proposal.plan, from: before)
      view.history.noteForwarded(forwarded, before, .changed(changes), at: turn.now)
    }
    kernel.wantedNextHops = kernel.wantedNextHops.union(
      view.forwarding.install(proposal.plan.result, nextHops))
    view.forwarding.fulfilled = proposal.desired
    view.forwarding.applyTrouble = nil
    kernel.hasFailed = false
    installedChanged()
    view.history.notePlan(proposal.plan, proposal.desired, at: turn.now)
    let (draining, census, configuration) = (view.draining, view.flows.census, view.configuration)
    emit(
      reported.report(
        installed: proposal.plan.result, desired: proposal.desired, healths: turn.board?.healths ?? [:],
        asked: asked
      ) { backend in
        draining.reasonForRelease(
          of: backend, by: census, configuration.drain(of: backend.pool), at: turn.now)
      })
    view.draining.follow(proposal.plan.result, unwritten: applied.unwritten, at: turn.now)
    if !proposal.plan.isEmpty { emit(Notice.plan(proposal.plan.effect, asked: asked, isStart: isStart)) }
  }

  /// What is installed was read back after a change that failed.
  mutating func recovered(_ result: Result<Recovery, DataplaneError>, _ turn: Turn) {
    guard case .recovering = kernel.inFlight else { return }
    kernel.inFlight = .none
    kernel.readings.add(.unknown)
    switch result {
    case .success(let recovery):
      kernel.knowledge = .current
      kernel.ended = []
      view.forwarding.readBack(recovery.installed)
      installedChanged()
      view.history.keep(recovery.installed)
      view.forwarding.fulfilled = nil
      emit(view.integrity.record(damage: recovery.damage, at: turn.now))
      view.draining.follow(recovery.installed, unwritten: nil, at: turn.now)
    case .failure(let error):
      // Tried again at the next tick; until then there is no plan.
      kernel.knowledge = .unreadable
      kernel.waitsForTick = true
      emit(
        .notice(.line(.error, "what is installed could not be read; trying again", ["error": "\(error)"])))
      flowsUncounted("what is installed could not be read: \(error)")
      failPlannedChange(error, turn)
    }
  }

  mutating func patrolled(_ result: Result<[String], DataplaneError>, _ turn: Turn) {
    guard case .patrolling = kernel.inFlight else { return }
    kernel.inFlight = .none
    switch result {
    case .success(let findings): emit(view.integrity.record(damage: findings, at: turn.now))
    case .failure(let error):
      emit(
        .notice(.line(.error, "the maps could not be compared with what is installed", ["error": "\(error)"]))
      )
    }
    updateAlarms(turn)
  }

  // MARK: Derived values

  /// Another state is installed. A number of a backend that is gone may be another's next.
  private mutating func installedChanged() {
    let backends = view.forwarding.installed.backends
    kernel.expired = kernel.expired.filter { backends[$0]?.isLeaving ?? false }
    view.flows.census?.found.keep { backends[$0] != nil }
    view.configuration.forgetDrains(except: view.forwarding.installed)
  }

  /// To be called when the configuration, the overrides or the decision in force became another.
  mutating func desiredChanged() {
    let desired = view.computedDesired
    // Where it is the same, the old value stays: comparing a value with itself costs nothing.
    if let fulfilled = view.forwarding.fulfilled, desired == fulfilled {
      view.forwarding.desired = fulfilled
      // There is nothing to be applied any more.
      view.forwarding.applyTrouble = nil
    } else {
      view.forwarding.desired = desired
    }
  }

  mutating func updateProbePaths() {
    let checked = view.configuration.inForce.desired.pools.filter { $0.health.check != nil }.map(\.name)
    emit(
      .setProbePaths(
        view.uplinks.probePaths(
          of: view.forwarding.installed, beside: view.health.remainder, ofPools: Set(checked))))
  }

  private mutating func setNextHops() {
    let due = view.forwarding.nextHopsDue(kernel.wantedNextHops, view.uplinks)
    kernel.wantedNextHops = .none
    if !due.isEmpty { emit(.setNextHops(due)) }
  }

  mutating func updateAlarms(_ turn: Turn) {
    let found = Alarms.found(in: view, board: turn.board, at: turn.now)
    emit(view.alarms.update(with: found, at: turn.now))
  }
}
