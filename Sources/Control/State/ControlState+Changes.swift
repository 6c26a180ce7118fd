// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import HTTPTypes
internal import LoadBalancing

/// How a change goes from its request to its reply: checked, measured, resolved, saved, applied.
extension ControlState {
  /// How long a change waits for the next hops of backends that it adds.
  static let resolvingPatience = Duration.milliseconds(500)

  mutating func enqueue(_ change: Change) {
    if case .stopping = phase { return emit(.reply(change.id, .failure(ControlError.stopping))) }
    changes.append(change)
  }

  /// Begins changes until one has to wait.
  mutating func beginChanges(_ turn: Turn) {
    guard isRunning else { return }
    while let change = changes.takeNext() {
      changes.current = change
      begin(change, turn)
    }
  }

  private mutating func begin(_ change: Change, _ turn: Turn) {
    do {
      try checkTag(change)
      switch change.request {
      case .reload:
        // It reads the files as they are now, in place of the one that was to be tried again.
        if !change.terms.dryRun { changes.dueReload = nil }
        changes.current?.step = .loading
        emit(.loadConfiguration(change.id))
      case .detach, .attach: try beginAttachment(change)
      case .add, .change, .remove: decide(report: nil, counted: nil, turn)
      }
    } catch {
      finish(.failure(error))
    }
  }

  /// What identifies the desired state to clients. Generations begin at 1 with each run of the daemon, so the run is a
  /// part of it.
  private var tag: String { "\(start.run)-\(view.configuration.generation)" }

  private func checkTag(_ change: Change) throws(ControlError) {
    guard let expected = change.terms.expectedTag, expected != tag else { return }
    throw ControlError.generationChanged(is: tag, expected: expected)
  }

  /// Ends the current change with its reply.
  mutating func finish(_ result: Result<ChangeReply, any Error>) {
    guard let change = changes.current else { return }
    changes.current = nil
    emit(.reply(change.id, result))
  }

  // MARK: Steps

  mutating func handleChangeStep(_ input: Input, _ turn: Turn) {
    if case .resolved(let id, let network) = input, case .resolving(let start) = phase, id == Self.startID {
      return startResolved(network, start, turn)
    }
    if case .measured(let id, let reading, let result) = input { return measured(id, reading, result, turn) }
    guard let change = changes.current else { return }
    switch (input, change.step) {
    case (.configurationLoaded(change.id, let report), .loading): loaded(report, turn)
    case (.resolved(change.id, let network), .resolving(let target)):
      if let network {
        view.uplinks.learn(network)
        // Other backends may have the addresses, too.
        kernel.wantedNextHops = .all
      }
      save(target, turn)
    default: break
    }
  }

  /// Flows and packets were counted for a change, which may be over by now.
  private mutating func measured(
    _ id: RequestID, _ readingID: ReadingID, _ result: Result<Measurement, DataplaneError>, _ turn: Turn
  ) {
    guard let reading = kernel.readings.end(readingID), let change = changes.current, change.id == id,
      case .measuring(let report) = change.step
    else { return }
    switch result {
    case .success(let measurement):
      if let walk = measurement.walk { publish(walk.census, of: reading) }
      view.history.noteForwarded(
        measurement.forwarded, reading.installed,
        .unchanged(since: reading.changes, of: measurement.pools), at: turn.now)
      decide(report: report, counted: measurement.forwarded, turn)
    case .failure(let error):
      if report != nil, !change.terms.dryRun { reloadFailed(error, turn) }
      finish(.failure(error))
    }
  }

  /// Decides what becomes of the current change: it is refused, answered, measured, or carried out.
  /// - Parameter counted: what services were sent; nil: that was not read yet.
  mutating func decide(report: ConfigurationReport?, counted: [ForwardedRun]?, _ turn: Turn) {
    guard let change = changes.current else { return }
    do {
      switch try decision(on: change, report: report, counted, turn) {
      case .measure:
        changes.current?.step = .measuring(report: report)
        let (installed, age) = (view.forwarding.installed, view.flows.census?.age(at: turn.now))
        let reading = kernel.beginReading(of: installed, at: turn.now)
        emit(
          .measure(
            change.id,
            MeasureRequest(
              installed: installed, reading: reading, takesCensus: age.map { $0 >= 1 } ?? true,
              pools: report?.configuration.map { view.poolsConcerned(by: $0.desired) })))
      case .reply(let reply): finish(.success(reply))
      case .carryOut(let target): resolve(target, turn)
      }
    } catch {
      noteRefusal(error, of: change, turn)
      finish(.failure((error as? PlanError).map { ControlError.refused($0) } ?? error))
    }
  }

  enum Decision {
    /// Flows and packets have to be counted first.
    case measure
    case reply(ChangeReply)
    case carryOut(ChangeTarget)
  }

  /// Waits for the next hops of the backends that the change adds, and for no others.
  private mutating func resolve(_ target: ChangeTarget, _ turn: Turn) {
    let (desired, wanted) = (view.forwarding.desired, target.configured.applying(target.overrides))
    var added = wanted.addressesOfOtherPools(than: desired)
    if !added.isEmpty {
      let known = desired.backendAddresses
      added.subtract(known)
      // The path to a backend that was removed may be another one when it is added again.
      view.uplinks.keepPaths(to: known.union(view.forwarding.installed.backends.values.map(\.address)))
    }
    added = view.uplinks.unresolved(added)
    guard let id = changes.current?.id, !added.isEmpty, view.uplinks.interface != nil else {
      return save(target, turn)
    }
    changes.current?.step = .resolving(target)
    emit(.resolve(id, view.uplinks.query(for: added, vips: []), patience: Self.resolvingPatience))
  }

  /// Saved first: what is not saved can still be refused, and what is saved cannot be forgotten by a crash.
  private mutating func save(_ target: ChangeTarget, _ turn: Turn) {
    guard target.reload == nil else {
      changes.current?.step = .planning(target)
      return
    }
    var target = target
    do {
      let desired = view.foretell(target.configured, target.overrides, in: turn).desired
      target.prepared = try view.plan(
        to: desired, in: turn, tickLength: start.tickLength, expired: target.expiring,
        reusing: target.prepared)
    } catch {
      return finish(.failure(ControlError.refused(error)))
    }
    let id = save(target.keptOverrides)
    changes.current?.step = .saving(target, id)
  }

  /// - Returns: identifies the attempt.
  @discardableResult mutating func save(_ overrides: [BackendOverride]) -> SaveID {
    saves.begun += 1
    emit(.save(saves.begun, overrides))
    return saves.begun
  }

  mutating func saved(_ id: SaveID, _ result: Result<Void, OverrideStoreError>, _ turn: Turn) {
    saves.ended = max(saves.ended, id)
    let troubleBefore = view.overrides.unsaved
    switch result {
    case .success:
      if view.overrides.unsaved != nil { emit(.notice(.line(.notice, "overrides saved"))) }
      view.overrides.unsaved = nil
    case .failure(let error):
      if "\(error)" != view.overrides.unsaved {
        emit(.notice(.line(.error, "overrides not saved", ["error": "\(error)"])))
      }
      view.overrides.unsaved = "\(error)"
    }
    if view.overrides.unsaved != troubleBefore { updateAlarms(turn) }
    guard let change = changes.current else { return }
    switch change.step {
    case .saving(let target, id):
      if change.terms.requiresSaved, let trouble = view.overrides.unsaved {
        save(view.overrides.inForce)
        return finish(
          .failure(
            ControlError(
              .init(code: 507, reasonPhrase: "Insufficient Storage"), "not-saved",
              "the change was not made, for it cannot be saved: \(trouble)")))
      }
      changes.current?.step = .planning(target)
    case .savingAfter(var reply, id):
      reply.notSaved = view.overrides.unsaved
      finish(.success(reply))
    default: break
    }
  }
}

extension ChangeTarget {
  /// Without those that say nothing that the configuration does not say.
  var keptOverrides: [BackendOverride] { overrides.filter { !$0.isRedundant(in: configured) } }
}

extension DesiredState {
  var backendAddresses: Set<IPAddress> { Set(pools.lazy.flatMap(\.backends).map(\.address)) }

  /// Addresses of backends that the pool of the same name does not have in another state.
  fileprivate func addressesOfOtherPools(than other: DesiredState) -> Set<IPAddress> {
    let others = Dictionary(
      other.pools.map { ($0.name, $0.backends) }, uniquingKeysWith: { first, _ in first })
    var addresses: Set<IPAddress> = []
    for pool in pools where others[pool.name] != pool.backends {
      addresses.formUnion(pool.backends.map(\.address))
      addresses.subtract((others[pool.name] ?? []).map(\.address))
    }
    return addresses
  }
}

extension ControlError {
  static func refused(_ error: PlanError) -> ControlError {
    switch error {
    case .limitExceeded, .fragmented, .poolFull: refused("limit-exceeded", "\(error)")
    case .losesFlows: refused("loses-flows", "\(error)")
    }
  }
}
