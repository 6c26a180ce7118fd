// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing
internal import Netlink

/// The control plane as a value: inputs go in, actions come out. It has no clock and does no input or output, so that
/// every transition can be tested.
///
/// Every change waits in ``changes`` until the change before it has its reply. Plans for the data plane are made in
/// ``advance(_:)`` only, one after the other.
struct ControlState: Sendable {
  /// What readers see: published after each turn.
  var view: Snapshot
  var phase: Phase
  var changes = ChangeQueue()
  var kernel = KernelWork()
  /// What followers of events know of backends.
  var reported = ReportedChanges()
  let start: StartFacts
  /// The last attempt to save the overrides that was begun, and the last one that has ended.
  var saves = Saves()
  var networkReads = NetworkReads()
  /// Actions of the turn under way.
  private var actions: [Action] = []

  struct Saves: Sendable {
    var begun: SaveID = 0
    var ended: SaveID = 0
    var areUnderWay: Bool { begun != ended }
  }

  /// What the life of the daemon has come to, with what only that phase needs.
  enum Phase: Sendable {
    case initial
    case readingSavedState
    case adopting(SavedState)
    case resolving(Start)
    case checking(Start)
    case applying(Start)
    case attaching(Start)
    case running(Readiness)
    case stopping
    case stopped
    case failed(StartError)
  }

  /// What a start carries from step to step.
  struct Start: Sendable {
    /// Pools that have another name in the configuration, by the name that they had.
    var renames: [String: String] = [:]
    var absentees: Set<HealthStore.Absentee>?
    var isDoubtful = false
    /// Why there is no plan although something is forwarded.
    var planError: PlanError?
  }

  struct Readiness: Sendable {
    var isControlServed = false
    var isReported = false
    /// Whether the start was complete without a plan: what an earlier daemon installed forwards on.
    var isDegraded = false
  }

  init(view: Snapshot, start: StartFacts) {
    self.view = view
    self.start = start
    phase = .initial
  }

  /// Handles one input.
  /// - Returns: what is to be done, in this order.
  mutating func handle(_ input: Input, in turn: Turn) -> [Action] {
    view.at = turn.now
    switch phase {
    case .stopped, .failed: handleAfterEnd(input)
    default: dispatch(input, turn)
    }
    advance(turn)
    defer { actions = [] }
    return actions
  }

  mutating func emit(_ action: Action) { actions.append(action) }

  mutating func emit(_ notices: [Notice]) { actions += notices.map(Action.notice) }

  private mutating func dispatch(_ input: Input, _ turn: Turn) {
    switch input {
    case .start, .savedStateRead, .adopted, .controlServed: handleStart(input, turn)
    case .stop: stop()
    case .listening(let trouble):
      view.configuration.listenerTrouble = trouble
      updateAlarms(turn)
    case .requested(let id, let request, let requester, let terms):
      enqueue(Change(id: id, request: request, requester: requester, terms: terms))
    case .configurationLoaded, .measured, .resolved: handleChangeStep(input, turn)
    case .saved(let id, let result): saved(id, result, turn)
    case .applied(let result): applied(result, turn)
    case .recovered(let result): recovered(result, turn)
    case .patrolled(let result): patrolled(result, turn)
    case .attached(let result, let requester): attached(result, by: requester, turn)
    case .detached(let result): detached(result, turn)
    case .probeHookAttached(let result):
      networkReads.outdate()
      emit(view.uplinks.probeHookAttached(result))
      updateProbePaths()
    case .pinsWatched(let result): pinsWatched(result, turn)
    case .networkChanged: if isRunning { readNetwork(.all, turn) }
    case .networkRead(let result): networkRead(result, turn)
    case .checksStarted(let trouble): checksStarted(trouble, turn)
    case .healthDecided(let decision): healthDecided(decision, turn)
    case .checksUnjudged: checksUnjudged(turn)
    case .tick: tick(turn)
    case .countersRead(let id, let result): countersRead(id, result, turn)
    case .censusRequested(let id): censusRequested(id, turn)
    case .censusTaken(let id, let result): censusTaken(id, result, turn)
    case .flowsCleared(let result): flowsCleared(result, turn)
    case .nextHopsSet(let nextHops):
      view.forwarding.record(nextHops: nextHops)
      // Paths may have changed meanwhile, also back to what was recorded before.
      kernel.wantedNextHops = .all
    case .setAsideListed(let files): view.overrides.setAside = files
    }
  }

  /// After the end nothing is done; who asks is answered.
  private mutating func handleAfterEnd(_ input: Input) {
    switch input {
    case .requested(let id, _, _, _): emit(.reply(id, .failure(ControlError.stopping)))
    case .censusRequested(let id): emit(.replyCensus(id))
    case .stop: emit(.stopped)
    default: break
    }
  }

  // MARK: Stop

  /// Ends the daemon; what is installed forwards on. A change that is being carried out is completed.
  private mutating func stop() {
    for change in changes.takeWaiting() { emit(.reply(change.id, .failure(ControlError.stopping))) }
    if let change = changes.current, !change.isBeingCarriedOut {
      emit(.reply(change.id, .failure(ControlError.stopping)))
      changes.current = nil
    }
    answerCensusRequests()
    switch phase {
    case .initial, .running, .stopping, .stopped, .failed: break
    default: emit(.started(.failure(StartError("stopped during the start", cure: nil))))
    }
    phase = .stopping
  }

  /// Goes on to the end when nothing is under way any more.
  mutating func stopWhenIdle() {
    guard case .stopping = phase, changes.current == nil, kernel.isIdle, !saves.areUnderWay else { return }
    phase = .stopped
    emit(.stopped)
  }
}

/// What the start knows before the first turn.
struct StartFacts: Sendable {
  /// Tells this run of the daemon from every other; a part of the ETag.
  var run: String
  /// Seconds of the packet path's tick.
  var tickLength = 1.0
  /// Whether the start may take over tables whose flows then have other slots.
  var allowsLostFlows = false
  /// Whether the running tables were filled under another seed.
  var isSeedChanged = false
  /// Whether an earlier program forwards by maps that this version cannot read.
  var replacesUnreadable = false
  /// The address of the interface that an earlier daemon's program is attached to.
  var attachedAddress: HardwareAddress?
}

extension Change {
  /// Whether the data plane or a file is being changed for it.
  fileprivate var isBeingCarriedOut: Bool {
    switch step {
    case .saving, .applying, .savingAfter, .attaching, .detaching: true
    // Its overrides are saved: it has to be in force, too.
    case .planning(let target): target.reload == nil
    case .begun, .loading, .measuring, .resolving: false
    }
  }
}

extension ControlError {
  static let stopping = ControlError(
    .serviceUnavailable, "stopping", "the daemon is stopping: nothing was changed")
}
