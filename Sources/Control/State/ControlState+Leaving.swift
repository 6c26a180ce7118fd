// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing

/// Requests about backends that are leaving: what is possible is done, what is not is refused with its reason.
extension ControlState {
  /// The backend of this name that is leaving, where no configured backend has the name.
  func leavingOnly(_ name: String, in pool: String) -> InstalledState.Backend? {
    guard view.forwarding.desired.pool(named: pool)?.backend(named: name) == nil else { return nil }
    return view.forwarding.installed.backends(of: pool).last {
      $0.name == name && view.health.checkKey(of: $0).leaving != nil
    }
  }

  func decision(
    on leaving: InstalledState.Backend, _ wanted: BackendChange, _ change: Change,
    _ counted: [ForwardedRun]?, _ turn: Turn
  ) throws -> Decision {
    let state = try state(wanted.state)
    guard wanted.weight == nil else {
      throw ControlError.refused(
        "backend-leaving",
        "\(describe(leaving, turn)): it takes no new flows, whatever its weight; \(adviceToKeep(leaving))")
    }
    switch state {
    case nil: throw ControlError.invalid("nothing to change: give weight or state")
    case .ready:
      throw ControlError.refused(
        "backend-leaving", "\(describe(leaving, turn)); \(adviceToKeep(leaving))")
    case .maint: return try cutOff(leaving, reason: wanted.reason, change, counted, turn)
    case .drain:
      let effect = ChangeEffect(
        changes: [], pools: [],
        warnings: ["backend \(leaving.pool)/\(leaving.name) is leaving: it drains already"])
      return .reply(
        ChangeReply(
          generation: view.configuration.generation, dryRun: change.terms.dryRun, effect: effect))
    }
  }

  /// Ends a leaving backend's flows now: it is released.
  func cutOff(
    _ leaving: InstalledState.Backend, reason: String?, _ change: Change, _ counted: [ForwardedRun]?,
    _ turn: Turn
  ) throws -> Decision {
    var target = target(view.overrides.inForce, asked: provenance(change, reason, turn))
    target.expiring = [leaving.number]
    return try decision(target, change, counted, turn)
  }

  func describe(_ leaving: InstalledState.Backend, _ turn: Turn) -> String {
    let flows = view.draining.progress(of: leaving.number, by: view.flows.census, at: turn.now).flows
    return
      "backend \(leaving.pool)/\(leaving.name) is not configured any more and is leaving (at least \(flows) flows)"
  }

  private func adviceToKeep(_ leaving: InstalledState.Backend) -> String {
    view.forwarding.desired.pool(named: leaving.pool) == nil
      ? "to have it back, put pool \(leaving.pool) back into the configuration"
      : "to have it back: sluice backend add \(leaving.pool)/\(leaving.name) --address \(leaving.address)"
  }
}
