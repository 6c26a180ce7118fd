// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// The flow table: who has flows left, which slots settle, and which entries are dead.
///
/// A walk takes its time, and plans may come in quick succession. What it found counts for what stayed the same.
extension ControlState {
  mutating func censusRequested(_ id: RequestID, _ turn: Turn) {
    guard isRunning, kernel.knowledge != .unreadable,
      view.flows.census.map({ $0.age(at: turn.now) >= 1 }) ?? true
    else {
      return emit(.replyCensus(id))
    }
    kernel.census.add(id)
  }

  mutating func answerCensusRequests() {
    for id in kernel.census.takeWaiting() { emit(.replyCensus(id)) }
  }

  /// Begins a walk through the flow table where one is wanted.
  mutating func beginCensus(_ turn: Turn) {
    guard isRunning, kernel.census.isWanted, kernel.knowledge == .current else { return }
    let id = kernel.beginReading(of: view.forwarding.installed, at: turn.now)
    kernel.census.begin(id)
    emit(.takeCensus(view.forwarding.installed, id))
  }

  mutating func censusTaken(
    _ id: ReadingID, _ result: Result<FlowWalkResult, DataplaneError>, _ turn: Turn
  ) {
    guard let walk = kernel.census.underWay, walk.id == id else { return }
    kernel.census.underWay = nil
    switch result {
    case .success(let found):
      guard let reading = kernel.readings[id] else { return }
      guard !reading.changes.areUnknown else { return repeatCensus(walk) }
      publish(found.census, of: reading)
      if walk.isForTick {
        // The reading goes on until slots have settled by it.
        if let before = kernel.census.follow(CensusWork.Found(id: id, walk: found)) {
          _ = kernel.readings.end(before)
        }
      } else {
        _ = kernel.readings.end(id)
      }
    case .failure(let error):
      _ = kernel.readings.end(id)
      flowsUncounted("the flow table could not be read: \(error)")
    }
    answerCensusRequests()
    if walk.isForTick { endDrains(turn) }
    updateAlarms(turn)
  }

  /// What was installed during the walk is not known: nothing of what it found counts.
  private mutating func repeatCensus(_ walk: CensusWork.Walk) {
    _ = kernel.readings.end(walk.id)
    if walk.isForTick { kernel.census.want() }
  }

  /// Nobody knows how many flows there are: who waits hears why.
  mutating func flowsUncounted(_ trouble: String) {
    if view.flows.trouble != trouble {
      emit(.notice(.line(.error, "flows could not be counted", ["error": trouble])))
    }
    view.flows.trouble = trouble
    answerCensusRequests()
  }

  /// Has a census in force, apart from what it says of backends that are gone.
  mutating func publish(_ found: FlowCensus, of reading: Reading) {
    guard view.flows.census.map({ $0.id < reading.id }) ?? true, !reading.changes.areUnknown else { return }
    var census = Census(at: reading.begun, found: found, id: reading.id)
    census.found.keep { !reading.changes.backends.contains($0) }
    view.flows.census = census
    view.flows.trouble = nil
  }

  /// Reports drains that are over, and has leaving backends go whose drain is over or has taken as long as it may.
  private mutating func endDrains(_ turn: Turn) {
    let (installed, census) = (view.forwarding.installed, view.flows.census)
    let configuration = view.configuration
    emit(
      view.draining.reportEnded(
        in: installed, by: census, drain: configuration.drain(of:), at: turn.now))
    kernel.expired = view.draining.expired(
      in: installed, by: census, drain: configuration.drain(of:), at: turn.now)
  }

  /// Slots settle, and moves of services end, by the walk of the last tick. To be called while no plan is being carried
  /// out: it would not know of the slots.
  mutating func followCensus(_ turn: Turn) {
    guard let found = kernel.census.takeFollowed(), let reading = kernel.readings.end(found.id) else {
      return
    }
    if !reading.changes.areUnknown {
      settle(by: found.walk.census, except: reading.changes, turn)
      let ended = found.walk.census.endedMoves(
        in: view.forwarding.installed, now: turn.packetTick, tickLength: start.tickLength)
      kernel.ended = ended.subtracting(reading.changes.services)
    }
    if found.walk.hasUnwanted { kernel.census.clear(found) }
  }

  /// Lets slots settle whose time is over.
  /// - Parameter changes: what the census says nothing of.
  private mutating func settle(by census: FlowCensus, except changes: InstalledChanges, _ turn: Turn) {
    var rewrites: [SlotRewrite] = []
    let installed = view.forwarding.installed
    // At rest every slot is stable.
    for (name, table) in view.forwarding.tables where table.unsettled > 0 {
      guard let pool = installed.pools[name] else { continue }
      let settling = installed.settling(of: pool, tickLength: start.tickLength)
      let foreign = census.foreign[name, default: []].union(changes.slots(of: pool))
      let slots = settling.rewrites(of: pool.slots, at: turn.packetTick, foreign: foreign)
      guard !slots.isEmpty else { continue }
      rewrites.append(SlotRewrite(pool: pool, slots: slots))
      let stable = slots.count { $0.slot.state == .stable }
      emit(
        .notice(
          .line(
            .debug, "slots settled",
            ["pool": name, "settling": "\(slots.count - stable)", "stable": "\(stable)"])))
    }
    guard !rewrites.isEmpty else { return }
    view.forwarding.rewrite(rewrites)
    kernel.readings.add(InstalledChanges(by: rewrites))
    emit(.rewriteSlots(rewrites))
  }

  /// Has dead entries cleared.
  mutating func clearFlows() {
    guard let found = kernel.census.takeCleared() else { return }
    kernel.inFlight = .clearing(found.id)
    emit(.clearFlows(found.walk, in: view.forwarding.installed))
  }

  mutating func flowsCleared(_ result: Result<Int, DataplaneError>, _ turn: Turn) {
    guard case .clearing(let id) = kernel.inFlight else { return }
    kernel.inFlight = .none
    switch result {
    case .success(let count):
      // A later census may have met fewer of them.
      guard view.flows.census?.id == id, let entries = view.flows.census?.found.entries else { return }
      view.flows.census?.found.cleared = count
      view.flows.census?.found.entries = max(entries - count, 0)
    case .failure(let error):
      emit(.notice(.line(.error, "dead flows could not be removed", ["error": "\(error)"])))
    }
  }
}
