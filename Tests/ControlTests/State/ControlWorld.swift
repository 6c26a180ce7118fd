// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import ControlAPI
import Foundation

@testable import Control
@testable import Dataplane
@testable import LoadBalancing
@testable import Netlink

/// A control plane's state with effects that only take notes: tests decide when and how each action ends.
struct ControlWorld {
  var state: ControlState
  /// Actions that have begun and have no result yet, in order.
  var pending: [Action] = []
  /// Replies in the order in which they were given.
  var replies: [(id: RequestID, result: Result<ChangeReply, any Error>)] = []
  var notices: [Notice] = []
  var now = Moment(uptime: .seconds(1000), wall: Date(timeIntervalSince1970: 1_700_000_000))
  /// What the kernel's maps hold.
  var kernel = InstalledState() {
    didSet { if !packets.isEmpty { packets = packets.filter { exists($0.key) } } }
  }
  /// What the disk holds.
  var saved: [BackendOverride] = []
  /// What the configuration files say.
  var file: Configuration
  /// Backends that health finds down.
  var down: Set<IPAddress> = []
  /// The health checks; nil: ``down`` says what they decide.
  var board: HealthBoard?
  /// What a walk through the flow table finds.
  var census = FlowCensus()
  var hasDeadFlows = false
  /// What the kernel has counted for pairs of services and backends.
  private(set) var packets: [ForwardedTotals.Pair: UInt64] = [:]
  /// What the last plan read before its first step.
  private var readByPlan: [ForwardedRun]?
  /// Packets that could not be written into the flow table so far.
  var unwritten: UInt64 = 0
  private(set) var lastID: RequestID = 0

  init(
    _ configuration: Configuration = Self.configuration(), facts: StartFacts = StartFacts(run: "run"),
    link: Link? = Self.link
  ) {
    file = configuration
    let node = configuration.node
    let view = Snapshot(
      at: now,
      process: ProcessFacts(
        configurationPath: "/etc/sluice/sluice.yaml", startedAt: now, version: "1", isFullSpeed: true,
        hostName: "lb1"),
      configuration: ConfigurationState(inForce: configuration, loadedAt: now),
      uplinks: Uplinks(node.interface, link: link))
    state = ControlState(view: view, start: facts)
  }

  // MARK: Turns

  var turn: Turn { Turn(now: now, packetTick: Tick(UInt32(now.uptime.components.seconds)), board: board) }

  /// Handles an input, and the results that actions have at once.
  /// - Returns: the actions of the input, without notices.
  @discardableResult mutating func handle(_ input: Input) -> [Action] {
    var inputs = [input]
    var all: [Action] = []
    while !inputs.isEmpty {
      for action in state.handle(inputs.removeFirst(), in: turn) {
        switch action {
        case .notice(let notice):
          notices.append(notice)
          continue
        case .reply(let id, let result): replies.append((id, result))
        case .rewriteSlots(let rewrites):
          for rewrite in rewrites {
            for (index, slot) in rewrite.slots { kernel.pools[rewrite.pool.name]?.slots[index] = slot }
          }
        case .apply(let application): readByPlan = application.counting.map { counted($0) }
        case .check(let request): inputs.append(.healthDecided(check(request)))
        default: break
        }
        all.append(action)
        if action.hasResult { pending.append(action) }
      }
    }
    return all
  }

  private mutating func check(_ request: CheckRequest) -> HealthDecision {
    guard board != nil else { return decision(on: request.desired) }
    board?.configure(request.desired, beside: request.remainder, at: now.uptime) { request.known($0, $1) }
    _ = board?.decide(at: now.uptime)
    return board?.latest ?? HealthDecision()
  }

  /// What the checks say of what is to be checked.
  func decision(on desired: DesiredState) -> HealthDecision {
    var decision = HealthDecision()
    for pool in desired.pools where !down.isEmpty {
      for backend in pool.backends {
        decision.isInUse[BackendKey(pool: pool.name, backend: backend.name)] = !down.contains(
          backend.address)
      }
    }
    return decision
  }

  @discardableResult mutating func request(
    _ request: ChangeRequest, _ terms: ChangeTerms = ChangeTerms()
  ) -> RequestID {
    lastID += 1
    handle(.requested(lastID, request, by: Requester(identity: "tester"), terms))
    return lastID
  }

  // MARK: Results

  /// Ends the oldest pending action that a condition is true of, as the outside would.
  /// - Parameter failing: whether it fails.
  @discardableResult mutating func complete(
    failing: Bool = false, where isMeant: (Action) -> Bool = { _ in true }
  ) -> [Action]? {
    guard let index = pending.firstIndex(where: isMeant) else { return nil }
    return handle(result(of: pending.remove(at: index), failing: failing))
  }

  /// Ends all pending actions, and those that they lead to.
  mutating func completeAll() { while complete() != nil {} }

  mutating func result(of action: Action, failing: Bool) -> Input {
    let error = DataplaneError.readBack("a fault")
    switch action {
    case .readSavedState: return .savedStateRead(SavedState(overrides: saved))
    case .loadConfiguration(let id):
      return .configurationLoaded(
        id, failing ? Self.invalidReport : ConfigurationReport(configuration: file, diagnostics: []))
    case .save(let id, let overrides):
      guard !failing else { return .saved(id, .failure(OverrideStoreError(reason: "disk full"))) }
      saved = overrides
      return .saved(id, .success(()))
    case .listSetAside: return .setAsideListed([])
    case .adopt:
      guard !failing else { return .adopted(.failure(error)) }
      let origin = kernel == InstalledState() ? Forwarder.Origin.created(reason: "none are pinned") : .adopted
      return .adopted(.success(Adoption(origin: origin, installed: kernel)))
    case .apply(let application):
      guard !failing else { return .applied(.failure(error)) }
      kernel = application.plan.result
      return .applied(.success(Applied(unwritten: unwritten, forwarded: readByPlan)))
    case .recover: return .recovered(failing ? .failure(error) : .success(Recovery(installed: kernel)))
    case .patrol: return .patrolled(failing ? .failure(error) : .success([]))
    case .clearFlows(let walk, _):
      return .flowsCleared(failing ? .failure(error) : .success(walk.census.entries))
    case .attach(let request):
      return .attached(failing ? .failure(error) : .success(Self.attachment), by: request.by)
    case .detach: return .detached(failing ? .failure(error) : .success(()))
    case .attachProbeHook(let index):
      return .probeHookAttached(failing ? .failure(error) : .success(index))
    case .watchPins: return .pinsWatched(failing ? .failure(error) : .success(false))
    case .readCounters(let installed, let id):
      let reading = TickReading(flowEvents: FlowEvents(), forwarded: counted(installed))
      return .countersRead(id, failing ? .failure(error) : .success(reading))
    case .takeCensus(_, let id):
      return .censusTaken(
        id, failing ? .failure(error) : .success(FlowWalkResult(census: census, hasUnwanted: hasDeadFlows)))
    case .measure(let id, let request):
      guard !failing else { return .measured(id, request.reading, .failure(error)) }
      let walk = request.takesCensus ? FlowWalkResult(census: census) : nil
      return .measured(
        id, request.reading,
        .success(
          Measurement(
            walk: walk,
            forwarded: counted(request.installed).filter { request.pools?.contains($0.pool) ?? true },
            pools: request.pools)))
    case .readNetwork(let query):
      return .networkRead(
        failing
          ? .failure(NetlinkError(operation: "read", subject: "routes", errno: 5)) : .success(view(query)))
    case .resolve(let id, let query, _): return .resolved(id, failing ? nil : view(query))
    default: preconditionFailure("\(action.name) has no result")
    }
  }

  /// Sends packets of each service to each of its backends.
  /// - Returns: how many in all, by service.
  @discardableResult mutating func send(_ count: UInt64) -> [VirtualService.Key: UInt64] {
    var sent: [VirtualService.Key: UInt64] = [:]
    for (key, service) in kernel.services {
      for backend in kernel.backends.values where backend.pool == service.service.pool {
        packets[ForwardedTotals.Pair(service: key, backend: backend.number), default: 0] += count
        sent[key, default: 0] += count
      }
    }
    return sent
  }

  private func exists(_ pair: ForwardedTotals.Pair) -> Bool {
    guard let service = kernel.services[pair.service], let backend = kernel.backends[pair.backend] else {
      return false
    }
    return service.service.pool == backend.pool
  }

  /// What pairs of services and backends have counted, read as if this were installed.
  private func counted(_ installed: InstalledState) -> [ForwardedRun] {
    installed.services.map { key, service in
      let backends = installed.backends.values.filter { $0.pool == service.service.pool }
      var counters = [Counter](repeating: Counter(), count: (backends.map(\.pair).max() ?? -1) + 1)
      for backend in backends {
        counters[backend.pair].packets =
          packets[ForwardedTotals.Pair(service: key, backend: backend.number)] ?? 0
      }
      return ForwardedRun(
        service: key, pool: service.service.pool, counters: counters)
    }
  }

  private func view(_ query: NetworkQuery) -> NetworkView {
    var view = NetworkView(link: Self.link, probeHookIndex: Self.link.index)
    for address in query.addresses {
      view.paths[address] = BackendPath(
        via: address,
        state: NextHopState(
          mac: HardwareAddress("02:00:00:00:00:09"), mtu: 1500, sourceAddress: .v4(10, 0, 0, 254)),
        isResolved: true)
    }
    return view
  }

  // MARK: Samples

  static let attachment = AttachmentReport(
    address: link.hardwareAddress, mode: .native, reason: "the driver runs XDP programs", programID: 7,
    isFullSpeed: true)

  static let invalidReport = ConfigurationReport(
    configuration: nil,
    diagnostics: [])

  static let link = Link(
    index: 3, name: "eth0", hardwareAddress: HardwareAddress(octets: [2, 0, 0, 0, 0, 1]), mtu: 1500,
    isUp: true, isRunning: true, kind: nil, peerIndex: nil, masterIndex: nil,
    xdpPrograms: [AttachedXDPProgram(mode: .native, programID: 7)])

  static let slots = 7

  static func backend(_ number: Int, weight: Int = 100) -> Backend {
    Backend(name: "b\(number)", address: .v4(10, 0, 0, UInt8(number)), weight: weight)
  }

  static func pool(_ name: String = "web", _ backends: [Int] = [1, 2, 3]) -> Pool {
    Pool(name: name, backends: backends.map { backend($0) }, tableSize: slots)
  }

  static func service(_ number: UInt8 = 1, pool: String = "web") -> VirtualService {
    VirtualService(
      key: VirtualService.Key(address: .v4(192, 0, 2, number), transport: .tcp, port: 443), name: "www",
      pool: pool)
  }

  static func configuration(
    services: [VirtualService] = [service()], pools: [Pool] = [pool()],
    limits: NodeSettings.Limits = NodeSettings.Limits(
      services: 16, pools: 8, backends: 64, slots: 40 * slots, pairs: 512)
  ) -> Configuration {
    Configuration(
      node: NodeSettings(
        interface: NodeSettings.Interface(name: "eth0"), limits: limits,
        hashSeed: "0123456789abcdef0123456789abcdef"),
      desired: DesiredState(services: services, pools: pools))
  }
}

extension Action {
  /// Whether the outside posts an input when it ends.
  var hasResult: Bool {
    switch self {
    case .saveHealth, .rewriteSlots, .setNextHops, .setInterfaceAddress, .startChecks, .check,
      .setProbePaths, .reply, .replyCensus, .notice, .started, .reportReady, .stopped:
      false
    default: true
    }
  }

  /// Its kind, with what tells several of a kind apart.
  var name: String {
    switch self {
    case .reply(let id, .success): "reply \(id) done"
    case .reply(let id, .failure(let error as ControlError)): "reply \(id) \(error.body.code)"
    case .reply(let id, .failure): "reply \(id) failed"
    case .started(.success): "started"
    case .started(.failure): "not started"
    default: Mirror(reflecting: self).children.first?.label ?? "\(self)"
    }
  }
}
