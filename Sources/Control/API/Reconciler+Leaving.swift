// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing

/// Changes of backends that are leaving: what can be done to them is done, what cannot be is refused with its reason.
extension Reconciler {
  /// The backend of this name that is leaving, where no configured backend has the name.
  func leavingOnly(_ name: String, in pool: String) -> InstalledState.Backend? {
    guard desired.pool(named: pool)?.backend(named: name) == nil else { return nil }
    return installed.backends(of: pool).last { $0.name == name && checkKey(of: $0).leaving != nil }
  }

  func change(
    _ leaving: InstalledState.Backend, _ change: BackendChange, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    let name = "\(leaving.pool)/\(leaving.name)"
    let wanted = try state(change.state)
    guard change.weight == nil else {
      throw ControlError.refused(
        "backend-leaving",
        "\(says(leaving)): it takes no new flows, whatever its weight; \(takingBack(leaving))")
    }
    switch wanted {
    case nil: throw ControlError.invalid("nothing to change: give weight or state")
    case .ready:
      throw ControlError.refused("backend-leaving", "\(says(leaving)); \(takingBack(leaving))")
    case .maint: return try await cutOff(leaving, reason: change.reason, by: requester, terms)
    case .drain:
      let effect = ChangeEffect(
        changes: [], pools: [], warnings: ["backend \(name) is leaving: it drains already"])
      return ChangeReply(generation: generation, dryRun: terms.dryRun, effect: effect)
    }
  }

  /// Ends a leaving backend's flows now: it is released.
  func cutOff(
    _ leaving: InstalledState.Backend, reason: String?, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await apply(overrides, expiring: [leaving.number], asked: provenance(requester, reason), terms)
  }

  func says(_ leaving: InstalledState.Backend) -> String {
    let flows = progress(of: leaving).flows
    return
      "backend \(leaving.pool)/\(leaving.name) is not configured any more and is leaving (at least \(flows) flows)"
  }

  private func takingBack(_ leaving: InstalledState.Backend) -> String {
    desired.pool(named: leaving.pool) == nil
      ? "to have it back, put pool \(leaving.pool) back into the configuration"
      : "to have it back: sluice backend add \(leaving.pool)/\(leaving.name) --address \(leaving.address)"
  }
}
