// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// What time brings: what may have changed is looked at, and what failed is tried again.
extension ControlState {
  /// Updates the alarms where those about checks begin or end.
  mutating func checksUnjudged(_ turn: Turn) {
    guard isRunning else { return }
    let found = Set(Alarms.checks(turn.board, at: turn.now).map(\.code))
    let raised = Set(view.alarms.current.map(\.code)).intersection([.notChecked, .checksDoubted])
    if found != raised { updateAlarms(turn) }
  }

  mutating func tick(_ turn: Turn) {
    guard isRunning else { return }
    kernel.waitsForTick = false
    kernel.readAgain()
    kernel.patrol.want()
    kernel.census.want()
    emit(.watchPins)
    emit(.listSetAside)
    readCounters(turn)
    readNetwork(.due, turn)
    if view.health.trouble != nil { emit(.startChecks) }
    // A change may have saved overrides that are not in force yet.
    if view.overrides.unsaved != nil, !saves.areUnderWay, changes.current == nil {
      save(view.overrides.inForce)
    }
    if let due = changes.dueReload.take() {
      var change = Change(
        id: Self.startID, request: .reload, requester: Requester(identity: "sluiced, trying again"),
        terms: ChangeTerms(), forcedFor: due.forced)
      change.terms.force = due.forced != nil
      enqueue(change)
    }
    reportReadiness()
    updateAlarms(turn)
  }

  mutating func readCounters(_ turn: Turn) {
    guard kernel.counters == nil else { return }
    let installed = view.forwarding.installed
    let id = kernel.beginReading(of: installed, at: turn.now)
    kernel.counters = id
    emit(.readCounters(installed, id))
  }

  mutating func countersRead(
    _ id: ReadingID, _ result: Result<TickReading, DataplaneError>, _ turn: Turn
  ) {
    guard kernel.counters == id, let reading = kernel.readings.end(id) else { return }
    kernel.counters = nil
    switch result {
    case .success(let counters):
      view.flows.unwritten.note(counters.flowEvents, at: turn.now)
      view.history.noteForwarded(
        counters.forwarded, reading.installed, .unchanged(since: reading.changes, of: nil), at: turn.now)
      updateAlarms(turn)
    case .failure(let error):
      emit(.notice(.line(.error, "counters could not be read", ["error": "\(error)"])))
    }
  }

  mutating func pinsWatched(_ result: Result<Bool, DataplaneError>, _ turn: Turn) {
    let directory = view.configuration.node.pinDirectory
    switch result {
    case .success(false): return
    case .success(true):
      emit(view.integrity.record(removedPinsIn: directory, failure: nil, at: turn.now))
    case .failure(let error):
      emit(view.integrity.record(removedPinsIn: directory, failure: "\(error)", at: turn.now))
    }
    updateAlarms(turn)
  }
}
