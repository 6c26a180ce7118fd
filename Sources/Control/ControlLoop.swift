// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing
internal import Logging
internal import Synchronization

/// The one mailbox of the control plane: one thread handles every input, one after the other, by ``ControlState``.
/// After each turn a snapshot is published; readers use that and never wait for a turn.
final class ControlLoop: Sendable {
  private let worker = Worker("control")
  private let state: Mutex<ControlState>
  private let published: Mutex<Snapshot>
  private let waiting = Mutex(Waiting())
  private let effects: EffectRunner
  private let clock: any Clock
  private let events: EventLog
  private let logger: Logger

  private struct Waiting {
    var lastID = ControlState.startID
    var changes: [RequestID: CheckedContinuation<ChangeReply, any Error>] = [:]
    var censuses: [RequestID: CheckedContinuation<Void, Never>] = [:]
    var start: CheckedContinuation<Void, any Error>?
    var stop: CheckedContinuation<Void, Never>?

    mutating func nextID() -> RequestID {
      lastID += 1
      return lastID
    }
  }

  init(
    _ state: ControlState, effects: EffectRunner, clock: any Clock, events: EventLog, logger: Logger
  ) {
    published = Mutex(state.view)
    self.state = Mutex(state)
    self.effects = effects
    self.clock = clock
    self.events = events
    self.logger = logger
  }

  /// The state after the last turn.
  var snapshot: Snapshot { published.withLock { $0 } }

  /// A turn for pure functions of a snapshot, outside of the mailbox.
  var turn: Turn { Turn(now: clock.now, packetTick: clock.packetTick, board: effects.health.board) }

  /// Whether some checks say nothing of their backends, because this host is or may be at fault.
  var hasUnjudgedChecks: Bool { effects.health.hasUnjudged }

  /// Adds an input. Returns at once.
  func post(_ input: Input) { worker.enqueue { [self] in handle(input) } }

  // MARK: Requests

  /// Returns when the start is over.
  func start() async throws {
    try await withCheckedThrowingContinuation { continuation in
      waiting.withLock { $0.start = continuation }
      post(.start)
    }
  }

  /// Returns when the change is in force, or refused.
  func change(
    _ request: ChangeRequest, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await withCheckedThrowingContinuation { continuation in
      let id = waiting.withLock { waiting in
        let id = waiting.nextID()
        waiting.changes[id] = continuation
        return id
      }
      post(.requested(id, request, by: requester, terms))
    }
  }

  /// Reads the configuration again. The outcome is logged and reported as an event.
  func reload(because cause: String) {
    let id = waiting.withLock { $0.nextID() }
    post(.requested(id, .reload, by: Requester(identity: cause), ChangeTerms()))
  }

  /// A snapshot whose census of the flow table is at most a second old, if it could be taken in time.
  func freshSnapshot(patience: Duration) async -> Snapshot {
    await withCheckedContinuation { continuation in
      let id = waiting.withLock { waiting in
        let id = waiting.nextID()
        waiting.censuses[id] = continuation
        return id
      }
      post(.censusRequested(id))
      Task {
        try? await Task.sleep(for: patience)
        resumeCensus(id)
      }
    }
    return snapshot
  }

  private func resumeCensus(_ id: RequestID) {
    waiting.withLock { $0.censuses.removeValue(forKey: id) }?.resume()
  }

  /// Returns when nothing is under way any more, or after `patience`.
  func stop(patience: Duration = .seconds(2)) async {
    await withCheckedContinuation { continuation in
      waiting.withLock { $0.stop = continuation }
      post(.stop)
      Task {
        try? await Task.sleep(for: patience)
        resumeStop()
      }
    }
    effects.health.stop()
  }

  private func resumeStop() { waiting.withLock { $0.stop.take() }?.resume() }

  // MARK: Turns

  private func handle(_ input: Input) {
    var inputs = [latest(input)]
    while !inputs.isEmpty {
      let input = inputs.removeFirst()
      let turn = turn
      let (actions, view) = state.withLock { state in
        let actions = state.handle(input, in: turn)
        return (actions, state.view)
      }
      published.withLock { $0 = view }
      for action in actions { if let result = carryOut(action) { inputs.append(result) } }
    }
  }

  /// A decision on health that waited in the mailbox may be older than the latest ``Action/check(_:)``, whose decision is
  /// handled at once. The present decision takes its place.
  private func latest(_ input: Input) -> Input {
    guard case .healthDecided = input, let decision = effects.health.decision else { return input }
    return .healthDecided(decision)
  }

  private func carryOut(_ action: Action) -> Input? {
    switch action {
    case .reply(let id, let result):
      waiting.withLock { $0.changes.removeValue(forKey: id) }?.resume(with: result)
    case .replyCensus(let id): resumeCensus(id)
    case .notice(let notice): notice.post(to: logger, events)
    case .started(let result):
      waiting.withLock { $0.start.take() }?.resume(with: result.mapError { $0 as any Error })
    case .reportReady: SystemdNotification.ready()
    case .stopped: resumeStop()
    default: return effects.run(action) { [weak self] in self?.post($0) }
    }
    return nil
  }
}
