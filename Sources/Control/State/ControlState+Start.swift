// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import LoadBalancing

/// The start: what an earlier daemon saved and installed is adopted, brought to the configuration, and attached.
extension ControlState {
  /// Identifies the start's own query for next hops.
  static let startID: RequestID = 0
  /// How long a start waits for next hops.
  private static let startPatience = Duration.seconds(2)

  mutating func handleStart(_ input: Input, _ turn: Turn) {
    switch (input, phase) {
    case (.start, .initial):
      emit(
        .notice(
          .event("daemon", "sluiced", new: "started", reason: "version \(view.process.version)")))
      phase = .readingSavedState
      emit(.readSavedState(view.configuration.inForce.desired))
    case (.savedStateRead(let saved), .readingSavedState): adopt(saved, turn)
    case (.adopted(.success(let adoption)), .adopting(let saved)): adopted(adoption, saved, turn)
    case (.adopted(.failure(let error)), .adopting): fail(StartError("\(error)", cure: nil))
    case (.controlServed, _): controlServed()
    default: break
    }
  }

  private mutating func fail(_ error: StartError) {
    phase = .failed(error)
    for change in changes.takeWaiting() { emit(.reply(change.id, .failure(ControlError.stopping))) }
    emit(.started(.failure(error)))
  }

  /// What is installed would lose connections by being adopted.
  private func refusal(_ loss: String) -> StartError {
    StartError(
      "\(loss), and connections would break",
      cure: "what is installed forwards on; take the change back, or accept it: "
        + "sluiced --force --config \(view.process.configurationPath)")
  }

  // MARK: Steps

  private mutating func adopt(_ saved: SavedState, _ turn: Turn) {
    view.overrides.inForce = saved.overrides
    view.overrides.setAside = saved.setAside
    reportUnread(saved)
    if start.isSeedChanged, !start.allowsLostFlows {
      return fail(
        refusal(
          "hash_seed is not the one that the running tables were filled under: every flow would get another slot"
        ))
    }
    let expected = view.configuration.inForce.desired.applying(saved.overrides)
    phase = .adopting(saved)
    // Until the program is attached here, packets come from where the link is, which may be another interface.
    emit(
      .adopt(
        AdoptionRequest(
          expected: expected, address: start.attachedAddress ?? view.uplinks.interface?.hardwareAddress,
          policy: expected.packets.whileServicesAreAwaited)))
  }

  private mutating func reportUnread(_ saved: SavedState) {
    if let unreadable = saved.unreadable {
      emit(.notice(.line(.error, "overrides not loaded", ["error": unreadable])))
      view.overrides.setAsideReason = unreadable
      return
    }
    for rejected in saved.rejected.prefix(20) {
      emit(
        .notice(
          .line(
            .error, "an override is not valid and is not used",
            ["backend": rejected.backend.map { "\($0)" } ?? "?", "why": rejected.reason])))
    }
    view.overrides.setAsideReason = saved.rejected.first.map { rejected in
      "\(saved.rejected.count) overrides are not valid, the first of "
        + "\(rejected.backend.map { "\($0)" } ?? "no backend"): \(rejected.reason)"
    }
  }

  private mutating func adopted(_ adoption: Adoption, _ saved: SavedState, _ turn: Turn) {
    emit(adoption.log.map { .line(.notice, $0) })
    var begun = Start(absentees: saved.absentees, isDoubtful: adoption.isDoubtful)
    view.forwarding.installed = adoption.installed
    if case .created(let reason) = adoption.origin {
      emit(.notice(.line(.notice, "new maps", ["reason": reason])))
    } else {
      begun.renames = adoption.installed.renames(to: view.configuration.inForce.desired)
      view.overrides.inForce = view.overrides.inForce.following(begun.renames)
      var metadata = [
        "services": "\(adoption.installed.services.count)",
        "backends": "\(adoption.installed.backends.count)",
      ]
      if case .carriedOver(let reason) = adoption.origin { metadata["new"] = reason }
      emit(.notice(.line(.notice, "adopted the running maps", metadata)))
    }
    emit(view.integrity.record(damage: adoption.damage, at: turn.now))
    if !saved.isComplete { keepInstalled(saved, turn) }
    desiredChanged()
    let services = view.forwarding.installed.services.count
    if view.configuration.inForce.desired.services.isEmpty, services > 0, !start.allowsLostFlows {
      return fail(
        refusal(
          "the configuration has no services, and all \(services) virtual services that are "
            + "forwarded now would end"))
    }
    view.draining.follow(view.forwarding.installed, unwritten: nil, at: turn.now)
    readCounters(turn)
    phase = .resolving(begun)
    emit(.resolve(Self.startID, networkQuery(turn), patience: Self.startPatience))
  }

  /// Keeps what is installed as it is where the overrides that made it so could not be read: a backend that was drained
  /// stays drained.
  private mutating func keepInstalled(_ saved: SavedState, _ turn: Turn) {
    let read = Set(view.overrides.inForce.map { BackendKey(pool: $0.pool, backend: $0.backend) })
    let unread = Set(saved.rejected.compactMap(\.backend))
    let configured = view.configuration.inForce.desired
    let provenance = Provenance(
      by: "sluiced", at: turn.now.wall.timeIntervalSince1970,
      reason: "as installed: the saved change could not be read")
    let shown = view.forwarding.installed.renamed(to: configured).overridesShown(
      over: configured, provenance: provenance
    ) {
      (saved.unreadable != nil || unread.contains($0)) && !read.contains($0)
    } isOutByHealth: { name, address in
      guard configured.pool(named: name.pool)?.health.check != nil else { return false }
      return saved.absentees?.contains(HealthStore.Absentee(name, address)) ?? true
    }
    view.overrides.inForce += shown
    for override in shown {
      emit(
        .notice(
          .line(
            .notice, "kept as installed",
            [
              "backend": "\(override.pool)/\(override.backend)",
              "change": override.changes.joined(separator: ", "),
            ])))
    }
    save(view.overrides.inForce)
    emit(.listSetAside)
  }

  /// Next hops are known, or do not answer: the checks begin with what is installed.
  mutating func startResolved(_ network: NetworkView?, _ begun: Start, _ turn: Turn) {
    if let network { view.uplinks.learn(network) }
    phase = .checking(begun)
    emit(.startChecks)
    let known =
      start.replacesUnreadable
      // A backend that was not saved as out of use counts as healthy: clients reach it now. If it is down, its checks
      // soon find out.
      ? KnownBackends(absentees: begun.absentees ?? [])
      : view.known(in: view.configuration.inForce.desired)
    requestCheck(known: known)
  }

  /// The first decision: the first plan can be made.
  mutating func startChecked(_ begun: Start, _ turn: Turn) {
    var begun = begun
    let desired = view.forwarding.desired
    do throws(PlanError) {
      let plan = try view.plan(
        to: desired, in: turn, tickLength: start.tickLength,
        allowsLostFlows: start.allowsLostFlows || begun.isDoubtful
      ).plan
      phase = .applying(begun)
      apply(
        Proposal(plan: plan, desired: desired), asked: nil, isOfChange: false,
        repairing: view.forwarding.installed)
    } catch {
      if case .losesFlows(let changes) = error {
        return fail(refusal(changes.map(\.description).joined(separator: "; ")))
      }
      // Nothing is forwarded, and nothing would be: the service manager has to know.
      guard !view.forwarding.installed.services.isEmpty else {
        return fail(StartError("\(error)", cure: nil))
      }
      // What is installed is forwarded on.
      begun.planError = error
      kernel.waitsForTick = true
      view.forwarding.applyTrouble = "\(error)"
      emit(.notice(.line(.error, "no plan", ["error": "\(error)"])))
      attachAtStart(begun)
    }
  }

  mutating func startApplied(
    _ result: Result<Applied, DataplaneError>, _ proposal: Proposal, _ nextHops: [IPAddress: NextHopState],
    _ begun: Start, _ turn: Turn
  ) {
    switch result {
    case .failure(let error): fail(StartError("\(error)", cure: nil))
    case .success(let applied):
      installed(proposal, applied, nextHops, asked: nil, turn)
      updateProbePaths()
      if !applied.leftovers.isEmpty {
        emit(.notice(.line(.notice, "put in order", ["what": Integrity.summary(applied.leftovers)])))
      }
      if !begun.renames.isEmpty { save(view.overrides.inForce) }
      attachAtStart(begun)
    }
  }

  private mutating func attachAtStart(_ begun: Start) {
    guard let request = view.uplinks.attachRequest(by: nil) else {
      return fail(StartError("interface \(view.uplinks.configuredName) does not exist", cure: nil))
    }
    phase = .attaching(begun)
    emit(.attach(request))
  }

  mutating func startAttached(
    _ result: Result<AttachmentReport, DataplaneError>, _ begun: Start, _ turn: Turn
  ) {
    noteAttachment(result, by: nil)
    if case .failure(let error) = result { return fail(StartError("\(error)", cure: nil)) }
    phase = .running(Readiness(isDegraded: begun.planError != nil))
    checkRemainder(turn)
    updateAlarms(turn)
    emit(.started(.success(())))
  }

  // MARK: Ready

  private mutating func controlServed() {
    guard case .running(var readiness) = phase else { return }
    readiness.isControlServed = true
    phase = .running(readiness)
    reportReadiness()
  }

  /// Reports, once, that the start is complete: where nothing was forwarded before, that is after the first health
  /// verdicts.
  mutating func reportReadiness() {
    guard case .running(var readiness) = phase, readiness.isControlServed, !readiness.isReported,
      view.isReady || readiness.isDegraded && view.uplinks.isForwarding
    else { return }
    readiness.isReported = true
    phase = .running(readiness)
    emit(.reportReady)
  }
}

extension SavedState {
  var isComplete: Bool { unreadable == nil && rejected.isEmpty }
}
