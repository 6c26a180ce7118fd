// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// The last step of a change: it is planned from the state as it is now, and applied.
extension ControlState {
  mutating func applyChange(_ target: ChangeTarget, _ turn: Turn) {
    var target = target
    let (installed, configured) = (view.forwarding.installed, target.configured)
    target.known = view.known(in: configured)
    if target.reload != nil { target.reload?.renames = installed.renames(to: configured) }
    do throws(PlanError) {
      let foretold = view.foretell(configured, target.overrides, known: target.known, in: turn)
      let plan = try view.plan(
        to: foretold.desired, in: turn, tickLength: start.tickLength, expired: target.expiring,
        allowsLostFlows: target.allowsLostFlows, reusing: target.prepared
      ).plan
      target.prepared = nil
      target.effect =
        target.effect
        ?? view.changeEffect(plan.effect, to: foretold.desired, target.reload?.differences)
      changes.current?.step = .applying(target)
      apply(Proposal(plan: plan, desired: foretold.desired), asked: target.asked, isOfChange: true)
    } catch {
      failChange(target, error, reply: ControlError.refused(error), turn)
    }
  }

  /// The change's plan is in force.
  mutating func completeChange(_ turn: Turn) {
    guard let change = changes.current, case .applying(let target) = change.step else { return }
    let before = (
      view.configuration.inForce.desired, view.overrides.inForce, view.configuration.restartRequired
    )
    if let reload = target.reload {
      view.configuration.inForce.desired = reload.configuration.desired
      view.configuration.loadedAt = turn.now
      view.configuration.restartRequired = reload.restartRequired
      view.configuration.acceptedSeed = reload.configuration.node.hashSeed
      view.overrides.inForce = view.overrides.inForce.following(reload.renames).filter {
        !$0.isRedundant(in: reload.configuration.desired)
      }
    } else {
      view.overrides.inForce = target.keptOverrides
    }
    // By what the checks know now: decisions may have come since the plan was made.
    let foretold = view.foretell(
      view.configuration.inForce.desired, view.overrides.inForce, known: target.known, in: turn)
    if let decision = foretold.decision { putInForce(decision, turn) }
    desiredChanged()
    requestCheck(known: target.known)
    let isSame =
      before
      == (view.configuration.inForce.desired, view.overrides.inForce, view.configuration.restartRequired)
    if !target.isCounted, !isSame || !target.expiring.isEmpty { view.configuration.generation += 1 }
    let effect = target.effect ?? ChangeEffect(changes: [], pools: [], warnings: [])
    if let reload = target.reload {
      noteReloaded(reload, isSame: isSame, asked: target.asked, turn)
      let reply = ChangeReply(
        generation: view.configuration.generation, dryRun: false, effect: effect,
        restartRequired: view.configuration.restartRequired)
      let id = save(view.overrides.inForce)
      changes.current?.step = .savingAfter(reply, id)
      return
    }
    if let number = target.cutOff, let gone = view.forwarding.installed.backends[number],
      view.health.checkKey(of: gone).leaving != nil
    {
      var next = target
      next.overrides = view.overrides.inForce
      next.expiring = [number]
      next.cutOff = nil
      next.isCounted = true
      next.effect = effect
      changes.current?.step = .planning(next)
      return
    }
    finish(
      .success(
        ChangeReply(
          generation: view.configuration.generation, dryRun: false, effect: effect,
          notSaved: view.overrides.unsaved)))
  }

  /// The data plane refused the change's plan: what was in force stays.
  mutating func changeFailedToApply(_ error: DataplaneError, _ turn: Turn) {
    guard case .applying(let target)? = changes.current?.step else { return }
    failChange(target, error, reply: error, turn)
  }

  /// What is installed cannot be read, so that there is no plan.
  mutating func failPlannedChange(_ error: DataplaneError, _ turn: Turn) {
    guard case .planning(let target)? = changes.current?.step else { return }
    failChange(target, error, reply: error, turn)
  }

  private mutating func failChange(
    _ target: ChangeTarget, _ error: any Error, reply: any Error, _ turn: Turn
  ) {
    if let reload = target.reload {
      reloadFailed(error, forced: target.allowsLostFlows ? reload.configuration : nil, turn)
      // What the kernel refused is no fault of the request.
      finish(
        .failure(reply is ControlError ? reply : ControlError(.internalServerError, "failed", "\(error)")))
    } else if target.isCounted {
      finish(
        .failure(
          ControlError(
            .internalServerError, "failed",
            "the backend is removed, but its flows could not be cut off: \(error); it goes when they have ended"
          )))
    } else {
      save(view.overrides.inForce)
      finish(.failure(reply))
    }
  }
}
