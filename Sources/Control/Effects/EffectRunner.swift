// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging
internal import Netlink
internal import Synchronization

/// Carries out actions. What may block runs on a worker of its own kind and posts its result as an input.
struct EffectRunner: Sendable {
  let writer: any DataplaneWriter
  let reader: any DataplaneReader
  let network: any Network
  let files: any Files
  let health: any HealthMonitor
  private let workers = Workers()
  /// What is still to be saved of health; nil: nothing.
  private let healthToSave = Pending<Set<HealthStore.Absentee>>()
  private let logger: Logger

  private struct Workers {
    let forwarding = Worker("forwarding")
    let counters = Worker("counters")
    let census = Worker("census")
    let network = Worker("network")
    let configuration = Worker("configuration")
    let overrides = Worker("overrides")
    let health = Worker("health-file")
  }

  init(
    writer: any DataplaneWriter, reader: any DataplaneReader, network: any Network, files: any Files,
    health: any HealthMonitor, logger: Logger
  ) {
    self.writer = writer
    self.reader = reader
    self.network = network
    self.files = files
    self.health = health
    self.logger = logger
  }

  /// Begins an action, or does it where it does not block.
  /// - Parameter post: to be called with the result, from any thread.
  /// - Returns: a result that is already there, to be handled before any other input.
  func run(_ action: Action, post: @escaping @Sendable (Input) -> Void) -> Input? {
    switch action {
    case .readSavedState, .loadConfiguration, .save, .saveHealth, .listSetAside: runFile(action, post)
    case .readCounters, .takeCensus, .measure: runReading(action, post)
    case .readNetwork(let query):
      workers.network.enqueue { [network] in
        post(.networkRead(Result { () throws(NetlinkError) in try network.read(query) }))
      }
    case .resolve(let id, let query, let patience):
      resolve(id, query, until: .now + patience, post)
    case .startChecks:
      do {
        try health.start { post(.healthDecided($0)) }
        return .checksStarted(nil)
      } catch {
        return .checksStarted("\(error)")
      }
    case .check(let request): return .healthDecided(health.check(request))
    case .setProbePaths(let paths): health.set(paths: paths)
    case .reply, .replyCensus, .notice, .started, .reportReady, .stopped: break
    case .adopt, .apply, .recover, .patrol, .rewriteSlots, .clearFlows, .setNextHops, .setInterfaceAddress,
      .attach,
      .detach, .attachProbeHook, .watchPins:
      runForwarding(action, post)
    }
    return nil
  }

  // MARK: The data plane

  private func runForwarding(_ action: Action, _ post: @escaping @Sendable (Input) -> Void) {
    workers.forwarding.enqueue { [writer] in
      switch action {
      case .adopt(let request):
        post(.adopted(Result { () throws(DataplaneError) in try writer.adopt(request) }))
      case .apply(let application):
        post(.applied(Result { () throws(DataplaneError) in try writer.apply(application) }))
      case .recover(let expected, let nextHops):
        post(
          .recovered(
            Result { () throws(DataplaneError) in
              try writer.recover(expecting: expected, nextHops: nextHops)
            }))
      case .patrol(let installed, let nextHops):
        post(
          .patrolled(
            Result { () throws(DataplaneError) in try writer.patrol(installed, nextHops: nextHops) }))
      case .rewriteSlots(let rewrites): writer.rewrite(rewrites)
      case .clearFlows(let walk, let installed):
        post(.flowsCleared(Result { () throws(DataplaneError) in try writer.clear(walk, in: installed) }))
      case .setNextHops(let nextHops):
        writer.set(nextHops: nextHops)
        post(.nextHopsSet(nextHops))
      case .setInterfaceAddress(let address): writer.set(interfaceAddress: address)
      case .attach(let request):
        let result = Result { () throws(DataplaneError) in try writer.attach(request) }
        post(.attached(result, by: request.by))
      case .detach: post(.detached(Result { () throws(DataplaneError) in try writer.detach() }))
      case .attachProbeHook(let index):
        post(
          .probeHookAttached(
            Result { () throws(DataplaneError) in
              try writer.attachProbeHook(interfaceIndex: index)
              return index
            }))
      case .watchPins:
        post(.pinsWatched(Result { () throws(DataplaneError) in try writer.watchPins() }))
      default: break
      }
    }
  }

  private func runReading(_ action: Action, _ post: @escaping @Sendable (Input) -> Void) {
    switch action {
    case .readCounters(let installed, let id):
      workers.counters.enqueue { [reader] in
        post(
          .countersRead(
            id,
            Result { () throws(DataplaneError) in
              TickReading(
                flowEvents: try reader.flowEvents(), forwarded: try reader.forwarded(installed, of: nil))
            }))
      }
    case .takeCensus(let installed, let id):
      workers.census.enqueue { [reader] in
        post(.censusTaken(id, Result { () throws(DataplaneError) in try reader.walk(installed) }))
      }
    case .measure(let id, let request): measure(id, request, post)
    default: break
    }
  }

  /// Counters are read by one worker, so that readings are noted in the order in which they were made.
  private func measure(
    _ id: RequestID, _ request: MeasureRequest, _ post: @escaping @Sendable (Input) -> Void
  ) {
    let count = { @Sendable [reader, workers] (walk: Result<FlowWalkResult?, DataplaneError>) in
      workers.counters.enqueue {
        post(
          .measured(
            id, request.reading,
            Result { () throws(DataplaneError) in
              Measurement(
                walk: try walk.get(),
                forwarded: try reader.forwarded(request.installed, of: request.pools), pools: request.pools)
            }))
      }
    }
    guard request.takesCensus else { return count(.success(nil)) }
    workers.census.enqueue { [reader] in
      count(Result { () throws(DataplaneError) in try reader.walk(request.installed) })
    }
  }

  /// Looks again every 20 ms. Other queries are answered in between.
  private func resolve(
    _ id: RequestID, _ query: NetworkQuery, until deadline: ContinuousClock.Instant,
    _ post: @escaping @Sendable (Input) -> Void
  ) {
    workers.network.enqueue { [self] in
      let view = try? network.read(query)
      let isComplete =
        view.map { view in query.addresses.allSatisfy { view.paths[$0]?.state.mac != nil } } ?? false
      guard !isComplete, ContinuousClock.now < deadline else { return post(.resolved(id, view)) }
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(20)) {
        resolve(id, query, until: deadline, post)
      }
    }
  }

  // MARK: Files

  private func runFile(_ action: Action, _ post: @escaping @Sendable (Input) -> Void) {
    switch action {
    case .readSavedState(let configured):
      workers.overrides.enqueue { [files] in post(.savedStateRead(files.readSavedState(for: configured))) }
    case .loadConfiguration(let id):
      workers.configuration.enqueue { [files] in post(.configurationLoaded(id, files.loadConfiguration())) }
    case .save(let id, let overrides):
      workers.overrides.enqueue { [files] in
        post(.saved(id, Result { () throws(OverrideStoreError) in try files.save(overrides) }))
      }
    case .listSetAside:
      workers.overrides.enqueue { [files] in post(.setAsideListed(files.setAside())) }
    case .saveHealth(let absentees):
      guard healthToSave.put(absentees) else { return }
      workers.health.enqueue { [files, healthToSave, logger] in
        guard let absentees = healthToSave.take() else { return }
        do {
          try files.saveHealth(absentees)
        } catch {
          logger.error("health not saved", metadata: ["error": "\(error)"])
        }
      }
    default: break
    }
  }
}

/// A value that waits to be saved. A newer one takes its place.
private final class Pending<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)

  /// - Returns: whether none waited.
  func put(_ new: Value) -> Bool {
    value.withLock { value in
      defer { value = new }
      return value == nil
    }
  }

  func take() -> Value? { value.withLock { $0.take() } }
}
