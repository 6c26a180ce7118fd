// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import LoadBalancing
import Logging
import Synchronization
import Testing

@testable import Control
@testable import Dataplane
@testable import Netlink
@testable import Probing

/// The mailbox around the state.
@Suite(.timeLimit(.minutes(10))) struct ControlLoopTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// The checks decide anew on a new configuration, and that is handled at once. A decision that waits in the
  /// mailbox meanwhile knows nothing of it.
  @Test func `the latest decision on health counts, not one that waited in the mailbox`() async {
    var world = ControlWorld.running()
    world.down = [.v4(10, 0, 0, 2)]
    let older = world.decision(on: world.checked)
    world.down = [.v4(10, 0, 0, 3)]
    let newer = world.decision(on: world.checked)
    let outside = Outside(decision: newer, now: world.now)
    let loop = ControlLoop(
      world.state,
      effects: EffectRunner(
        writer: outside, reader: outside, network: outside, files: outside, health: outside,
        logger: Self.quiet),
      clock: outside, events: EventLog(), logger: Self.quiet)
    loop.post(.healthDecided(older))
    await loop.stop(patience: .seconds(50))
    #expect(loop.snapshot.health.decision == newer)
    #expect(outside.applied.map { $0["b3"] } == [false])
    #expect(outside.applied.map { $0["b2"] } == [true])
  }

  /// The prober needs a thread and descriptors, which may be used up.
  @Test func `a prober that cannot be started is an alarm until it runs, and the checks begin then`()
    async throws
  {
    var configuration = ControlWorld.configuration()
    configuration.desired.pools[0].health = HealthPolicy(check: HealthCheck(kind: .tcp))
    let outside = Outside(decision: nil, now: ControlWorld().now)
    outside.refuses.store(true, ordering: .sequentiallyConsistent)
    let loop = ControlLoop(
      ControlWorld(configuration).state,
      effects: EffectRunner(
        writer: outside, reader: outside, network: outside, files: outside, health: outside,
        logger: Self.quiet),
      clock: outside, events: EventLog(), logger: Self.quiet)
    try await loop.start()
    let alarm = try #require(loop.snapshot.alarms.current.first { $0.code.rawValue == "checks-not-started" })
    #expect(alarm.message.contains("web") && alarm.message.contains("epoll: "))
    #expect(loop.snapshot.status([], at: .now).alarms.contains { $0.code == "checks-not-started" })
    let before = outside.checked.load(ordering: .sequentiallyConsistent)
    outside.refuses.store(false, ordering: .sequentiallyConsistent)
    loop.post(.tick)
    await loop.stop(patience: .seconds(50))
    #expect(!loop.snapshot.alarms.current.contains { $0.code.rawValue == "checks-not-started" })
    #expect(outside.checked.load(ordering: .sequentiallyConsistent) == before + 1)
  }
}

/// Effects of which each succeeds, and changes nothing.
private final class Outside: Sendable {
  let decision: HealthDecision?
  let now: Moment
  private let plans = Mutex<[InstalledState]>([])
  /// Whether there is no prober.
  let refuses = Atomic(false)
  /// How often it was said what is to be checked.
  let checked = Atomic(0)

  init(decision: HealthDecision?, now: Moment) {
    self.decision = decision
    self.now = now
  }

  /// Which backends the plans that were applied use, by name.
  var applied: [[String: Bool]] {
    plans.withLock { $0 }.map { state in
      Dictionary(uniqueKeysWithValues: state.backends.values.map { ($0.name, $0.isUsable) })
    }
  }
}

extension Outside: DataplaneWriter {
  func adopt(_ request: AdoptionRequest) -> Adoption {
    Adoption(origin: .adopted, installed: InstalledState())
  }
  func apply(_ application: PlanApplication) -> Applied {
    plans.withLock { $0.append(application.plan.result) }
    return Applied(unwritten: 0)
  }
  func recover(expecting expected: DesiredState, nextHops: [IPAddress: NextHopState]) -> Recovery {
    Recovery(installed: InstalledState())
  }
  func patrol(_ installed: InstalledState, nextHops: [IPAddress: NextHopState]) -> [String] { [] }
  func rewrite(_ rewrites: [SlotRewrite]) {}
  func clear(_ walk: FlowWalkResult, in installed: InstalledState) -> Int { 0 }
  func set(nextHops: [BackendNumber: NextHopState]) {}
  func set(interfaceAddress: HardwareAddress) {}
  func attach(_ request: AttachRequest) -> AttachmentReport { ControlWorld.attachment }
  func detach() {}
  func attachProbeHook(interfaceIndex: UInt32) {}
  func watchPins() -> Bool { false }
}

extension Outside: DataplaneReader {
  func flowEvents() -> FlowEvents { FlowEvents() }
  func forwarded(_ installed: InstalledState, of pools: Set<String>?) -> [ForwardedRun] { [] }
  func walk(_ installed: InstalledState) -> FlowWalkResult { FlowWalkResult(census: FlowCensus()) }
}

extension Outside: Control.Network {
  func read(_ query: NetworkQuery) -> NetworkView { NetworkView(link: ControlWorld.link) }
}

extension Outside: Files {
  func readSavedState(for configured: DesiredState) -> SavedState { SavedState() }
  func loadConfiguration() -> ConfigurationReport { ControlWorld.invalidReport }
  func save(_ overrides: [BackendOverride]) {}
  func saveHealth(_ absentees: Set<HealthStore.Absentee>) {}
  func setAside() -> [String] { [] }
}

extension Outside: HealthMonitor {
  func start(_ post: @escaping @Sendable (HealthDecision) -> Void) throws {
    if refuses.load(ordering: .sequentiallyConsistent) {
      throw ProbingError(operation: "epoll", errno: 24)
    }
  }
  func check(_ request: CheckRequest) -> HealthDecision {
    checked.wrappingAdd(1, ordering: .sequentiallyConsistent)
    return decision ?? HealthDecision()
  }
  func set(paths: ProbePathUpdate) {}
  var board: HealthBoard? { nil }
  var hasUnjudged: Bool { false }
  func stop() {}
}

extension Outside: Control.Clock {
  var packetTick: Tick { Tick(0) }
}
