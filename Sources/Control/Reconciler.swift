// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import Foundation
public import LoadBalancing
public import Logging
internal import Netlink
internal import Probing

/// Owns the installed state and is its only writer: configuration, overrides and the network go in, plans come out,
/// are applied and recorded.
public actor Reconciler {
  let configurationPath: String
  let logger: Logger
  nonisolated let events = EventLog()
  nonisolated let requests = RequestCounts()
  let startedAt = Moment()
  /// Held for as long as this process may write the pinned maps.
  nonisolated let lock: PinLock
  /// Whether the start may take over tables whose flows then have other slots.
  private let allowsLostFlows: Bool

  var configuration: Configuration
  var configurationLoadedAt = Moment()
  var lastReload: ReloadOutcome { didSet { tally.note(lastReload) } }
  var overrides: [BackendOverride] = []
  var installed = InstalledState()
  /// The state whose plan had `installed` as its result; nil where that is not known.
  private var fulfilled: DesiredState?
  /// Whether nothing is desired that no plan has taken in.
  var isFulfilled: Bool { fulfilled == desired }
  var generation = 1
  var ways: [IPAddress: NextHops.Way] = [:]
  var probePaths = ProbePaths()
  var interface: Link?
  var restartRequired: [String] = []
  /// Whether the program is to be on the interface; where it cannot be, ``attachTrouble`` says why.
  private(set) var isAttached = false
  /// Who detached the program on request; nil where it was not since it was last attached.
  private(set) var detachedBy: String?
  var attachTrouble: String?
  /// Whether packets meet the program, as far as is known.
  var isForwarding: Bool { isAttached && attachTrouble == nil && interface != nil }

  let forwarder: Forwarder
  var store: OverrideStore
  var healthStore: HealthStore
  var nextHops: NextHops
  /// Why the overrides in force are not saved; nil where they are.
  var unsavedChange: String?
  /// Files with overrides that could not be read, which an operator has to decide about.
  var setAside: [String] = []
  /// Why this start set some aside.
  var setAsideReason: String?
  var applyTrouble: String?
  private var isInstalledStale = false
  /// Whether a reload failed at the data plane, whose file is good.
  var isReloadDue = false
  /// What another process did to the maps, and when that was last found.
  var damage = MapDamage()
  /// When pins were last found missing, and what became of it.
  var pinTrouble: (at: Moment, what: String)?
  /// When each backend that drains or leaves began to, as far as this daemon knows.
  var drainingSince: [BackendNumber: ContinuousClock.Instant] = [:]
  /// How many packets could not be written when each drain began.
  var unwrittenBeforeDrain: [BackendNumber: UInt64] = [:]
  var tally = Tally()
  /// What was forwarded within the last minutes.
  var traffic = RecentTraffic()
  /// The last walk through the flow table.
  var census: (at: ContinuousClock.Instant, found: FlowCensus)?
  var unwritten = UnwrittenFlows()
  var alarmsSince: [Alarm.Identity: Moment] = [:]
  /// What followers of events know.
  var told: Told?
  /// Backends whose drain is over, as followers of events know.
  var drained: Set<BackendNumber> = []
  /// The egress program of the probes, and the sockets of echo requests: made while there is privilege.
  nonisolated let probeTunnel: ProbeTunnel
  private nonisolated let interfaceIndexAtStart: UInt32
  /// The interface whose packets met an earlier daemon's program when this one started.
  private let attachedAtStart: Link?
  let echo: EchoSockets?
  /// From ``start()`` on.
  var checks: HealthChecks?
  /// The verdict in force.
  var health = HealthDecision()
  /// What is checked beside what is desired.
  var remainder = HealthBoard.Remainder()
  var isControlServed = false
  var isReadyReported = false
  /// Plans that health asked for.
  var healthPlans = 0
  /// Why tunnelled probes cannot leave.
  var probeTrouble: String?

  /// How a reload went.
  struct ReloadOutcome: Sendable {
    var at = Moment()
    /// Why it failed; nil where all went well.
    var failure: String?
    /// The same, where it was no mistake of the file.
    var error: (any Error)?
    /// What is wrong with the file.
    var diagnostics: [Diagnostic] = []

    var isSuccessful: Bool { failure == nil }
  }

  /// Loads the program, adopts what is pinned, and forwards as the configuration says.
  /// - Throws: ``StartError`` with a message for the operator; what an earlier daemon left keeps forwarding.
  init(
    configurationPath: String, configuration: Configuration, lock: PinLock, allowsLostFlows: Bool,
    takesOver: Bool, logger: Logger
  ) throws(StartError) {
    self.configurationPath = configurationPath
    self.lock = lock
    self.allowsLostFlows = allowsLostFlows
    self.configuration = configuration
    self.logger = logger
    lastReload = ReloadOutcome()
    let node = configuration.node
    store = OverrideStore(directory: node.stateDirectory)
    healthStore = HealthStore(directory: node.stateDirectory)
    let link: Link?
    let attachment = Forwarder.pinnedAttachment(node)
    do throws(NetlinkError) {
      nextHops = try NextHops(policy: node.interface.nextHop)
      link = try nextHops.link(named: node.interface.name)
      attachedAtStart = try nextHops.link(index: attachment.interfaceIndex ?? 0)
    } catch {
      throw StartError("\(error)", cure: nil)
    }
    guard let link else { throw Self.missing(node.interface.name, attachedTo: attachedAtStart) }
    guard link.hardwareAddress != nil else {
      throw StartError(
        "interface \(link.name) is no Ethernet interface: nothing could be forwarded on it",
        cure: "interfaces[0].name names the interface that clients' packets arrive on: see `ip -d link`")
    }
    if !takesOver, attachment != .none, attachment != .here(link.index) {
      throw Self.foreign(attachment, named: attachedAtStart?.name, node)
    }
    interface = link
    interfaceIndexAtStart = link.index
    do throws(DataplaneError) {
      forwarder = try Forwarder(node, isFullSpeed: Capabilities.hasPerfmon())
      probeTunnel = try ProbeTunnel(forwarder)
    } catch {
      throw StartError("\(error)", cure: nil)
    }
    // Echo requests take CAP_NET_RAW. Without it, checks that need them say so.
    echo = try? EchoSockets()
  }

  /// A copied configuration, with the pins of another balancer in it, would take that one's link away.
  private static func foreign(
    _ attachment: Forwarder.PinnedAttachment, named name: String?, _ node: NodeSettings
  ) -> StartError {
    let place =
      switch attachment {
      case .elsewhere(let index): "interface \(index) of another network namespace"
      default: name ?? "another interface"
      }
    return StartError(
      "the pins in \(node.pinDirectory) forward on \(place), and this configuration is for \(node.interface.name)",
      cure:
        "give this configuration paths.pins, paths.state and sockets of its own; or, to move forwarding to "
        + "\(node.interface.name): sluiced --take-over")
  }

  private static func missing(_ name: String, attachedTo link: Link?) -> StartError {
    let forwarding = link.map {
      ". The running program forwards on interface \($0.index), which is \($0.name) now"
    }
    return StartError(
      "interface \(name) does not exist\(forwarding ?? "")",
      cure: "interfaces[0].name names an interface of this host: see `ip link`")
  }

  /// Brings the data plane to the configuration and attaches the program.
  public func start() async throws(StartError) {
    events.append(type: "daemon", object: "sluiced", new: "started", reason: "version \(Version.current)")
    let unread = loadOverrides()
    if forwarder.seedChanged(), !allowsLostFlows {
      throw refusal(
        "hash_seed is not the one that the running tables were filled under: every flow would get another slot"
      )
    }
    let expected = configuration.desired.applying(overrides)
    var damage: [String] = []
    do {
      // Until ``attach()``, packets come from where the link is, which may be another interface than the one to be.
      if let mac = (attachedAtStart ?? interface)?.hardwareAddress {
        forwarder.setInterfaceAddress(mac.octets)
      }
      // A program that takes over the link here meets packets before the first plan, or without one.
      forwarder.setPacketPolicy(expected.packets.whileServicesAreAwaited)
      for line in try forwarder.takeOver(expecting: expected) { logger.notice("\(line)") }
      var renames: [String: String] = [:]
      if case .created(let reason) = forwarder.origin {
        logger.notice("new maps", metadata: ["reason": "\(reason)"])
      } else {
        installed = try forwarder.readInstalled(expecting: expected, findings: &damage)
        renames = installed.renames(to: configuration.desired)
        overrides = overrides.following(renames)
        var metadata: Logger.Metadata = [
          "services": "\(installed.services.count)", "backends": "\(installed.backends.count)",
        ]
        if case .carriedOver(let reason) = forwarder.origin { metadata["new"] = "\(reason)" }
        logger.notice("adopted the running maps", metadata: metadata)
      }
      note(damage: damage)
      if let unread { keepInstalled(unread) }
      if configuration.desired.services.isEmpty, !installed.services.isEmpty, !allowsLostFlows {
        throw refusal(
          "the configuration has no services, and all \(installed.services.count) virtual services that are "
            + "forwarded now would end")
      }
      noteDraining()
      await resolveNextHops(patience: .seconds(2))
      noteForwarded(try forwardedRuns())
      try beginChecks()
      // Steps are checked against what is in the maps: that has to be what was read.
      let nextHops = ways.mapValues(\.state)
      _ = try forwarder.repair(installed, parts: [.backends, .pools], nextHops: nextHops)
      let proposal = try plan(
        allowsLostFlows: allowsLostFlows || forwarder.tablesAreDoubtful(installed))
      if case .failure(.losesFlows(let changes)) = proposal {
        throw refusal(changes.map(\.description).joined(separator: "; "))
      }
      try applyPlan(proposal)
      let leftovers = try forwarder.repair(installed, nextHops: nextHops)
      if !leftovers.isEmpty {
        logger.notice("put in order", metadata: ["what": "\(MapDamage.summary(leftovers))"])
      }
      if !renames.isEmpty { saveOverrides() }
      try attach()
    } catch let error as StartError {
      throw error
    } catch {
      throw StartError("\(error)", cure: nil)
    }
  }

  /// What is installed would lose connections by being taken over.
  private func refusal(_ loss: String) -> StartError {
    StartError(
      "\(loss), and connections would break",
      cure: "what is installed forwards on; take the change back, or accept it: "
        + "sluiced --force --config \(configurationPath)")
  }

  /// Before privilege is given up: on kernels before 6.6 this takes CAP_NET_ADMIN. What fails is tried again at the
  /// first look at the network, and reported there.
  nonisolated func attachProbeTunnelAtStart() {
    try? probeTunnel.attach(interfaceIndex: interfaceIndexAtStart)
  }

  /// - Parameter requester: nil: the daemon by itself.
  func attach(by requester: Requester? = nil) throws(DataplaneError) {
    guard let interface else { return }
    if let mac = interface.hardwareAddress { forwarder.setInterfaceAddress(mac.octets) }
    let (wanted, state) = (configuration.node.interface.mode, configuration.node.stateDirectory)
    let asIs = NativeRefusal(interfaceIndex: interface.index, mtu: interface.mtu)
    let isRefused = wanted == .auto && NativeRefusal.load(from: state) == asIs
    try forwarder.attach(interfaceIndex: interface.index, mode: wanted, keepsGeneric: isRefused)
    isAttached = true
    detachedBy = nil
    if wanted != .auto || forwarder.attachment?.mode == .native {
      NativeRefusal.remove(from: state)
    } else if !isRefused {
      do {
        try asIs.save(in: state)
      } catch {
        logger.error("that native mode was refused is not saved", metadata: ["error": "\(error)"])
      }
    }
    let mode = forwarder.attachment.map { "\($0.mode.rawValue)" } ?? "none"
    let speed =
      forwarder.attachment?.mode == .generic
      ? "slow: generic mode" : forwarder.isFullSpeed ? "full" : "with speculation barriers (no CAP_PERFMON)"
    logger.notice(
      "attached",
      metadata: [
        "interface": "\(interface.name)", "mode": "\(mode)",
        "reason": "\(forwarder.attachment?.reason ?? "")",
        "speed": "\(speed)", "by": "\(requester?.identity ?? "sluiced")",
      ])
    events.append(
      type: "interface", object: interface.name, new: "attached, mode \(mode)",
      reason: forwarder.attachment?.reason, by: requester?.identity)
  }

  // MARK: Plans

  /// The configuration with the overrides in force, and with what health lets take part.
  var desired: DesiredState { configuration.desired.applying(overrides).applying(health) }

  /// A plan, with the state that it leads to.
  struct Proposal {
    var plan: Plan
    var desired: DesiredState
  }

  /// - Parameters:
  ///   - expired: leaving backends that are to go.
  ///   - ended: services whose move from another pool is over.
  ///   - allowsLostFlows: also where slots would forget their flows.
  func plan(
    _ desired: DesiredState? = nil, expired: Set<BackendNumber> = [], ended: Set<VirtualService.Key> = [],
    allowsLostFlows: Bool = false
  ) throws(DataplaneError) -> Result<Proposal, PlanError> {
    try lookAgain()
    let now = try forwarder.now()
    let desired = desired ?? self.desired
    do throws(PlanError) {
      let plan = try Planner.plan(
        from: installed, to: desired, limits: configuration.node.limits, now: now,
        tickLength: forwarder.tickLength, expired: expired, ended: ended, fulfilled: fulfilled,
        census: census?.found, allowsLostFlows: allowsLostFlows)
      return .success(Proposal(plan: plan, desired: desired))
    } catch {
      return .failure(error)
    }
  }

  /// Applies a plan. On failure what was desired before is brought back, now or, where the kernel refuses that too,
  /// with the next tick that it lets pass.
  /// - Parameter asked: who asked for it, and why; nil: the daemon by itself.
  func applyPlan(_ proposal: Result<Proposal, PlanError>, asked: Provenance? = nil) throws(DataplaneError) {
    guard case .success(let proposal) = proposal else {
      if case .failure(let error) = proposal {
        applyTrouble = "\(error)"
        logger.error("no plan", metadata: ["error": "\(error)"])
      }
      return
    }
    let plan = proposal.plan
    let isStart = told == nil
    do throws(DataplaneError) {
      try carryOut(proposal, asked: asked)
    } catch {
      fulfilled = nil
      applyTrouble = "\(error)"
      logger.error("a change was not applied", metadata: ["error": "\(error)"])
      isInstalledStale = true
      goBack()
      throw error
    }
    if !plan.isEmpty { log(plan.effect, asked: asked, isStart: isStart) }
  }

  private func carryOut(_ proposal: Proposal, asked: Provenance?) throws(DataplaneError) {
    let policy = proposal.desired.packets
    if !proposal.plan.effect.servicesAdded.isEmpty {
      forwarder.setPacketPolicy(policy.whileServicesAreAwaited)
    }
    try forwarder.apply(proposal.plan, nextHops: ways.mapValues(\.state))
    forwarder.setPacketPolicy(proposal.desired.awaited.isEmpty ? policy : policy.whileServicesAreAwaited)
    installed = proposal.plan.result
    fulfilled = proposal.desired
    applyTrouble = nil
    tally.note(proposal)
    tell(of: proposal.desired, asked: asked)
    noteDraining()
    tellWays()
  }

  /// From wherever a change stopped to what is desired.
  private func goBack() {
    do throws(DataplaneError) {
      guard case .success(let proposal) = try plan() else { return }
      try carryOut(proposal, asked: nil)
    } catch {
      isInstalledStale = true
      logger.error("nor could it be taken back; trying again", metadata: ["error": "\(error)"])
    }
  }

  /// Reads what the kernel holds after a change that failed. Until that is known there is no plan.
  func lookAgain() throws(DataplaneError) {
    guard isInstalledStale else { return }
    var findings: [String] = []
    installed = try forwarder.readInstalled(
      expecting: configuration.desired.applying(overrides), findings: &findings)
    // What the change that failed left half done is no damage: names and keys without a record, too.
    _ = try forwarder.repair(installed, nextHops: ways.mapValues(\.state))
    fulfilled = nil
    isInstalledStale = false
    note(damage: findings)
  }

  private func noteDraining() {
    let draining = Set(installed.backends.values.filter(\.isDraining).map(\.number))
    for number in draining where drainingSince[number] == nil {
      drainingSince[number] = .now
      unwrittenBeforeDrain[number] = try? forwarder.flowEvents().unwritten
    }
    drainingSince = drainingSince.filter { draining.contains($0.key) }
    unwrittenBeforeDrain = unwrittenBeforeDrain.filter { draining.contains($0.key) }
  }

  private func log(_ effect: Effect, asked: Provenance?, isStart: Bool) {
    // What a start finds and makes is where changes begin.
    if !isStart {
      log(
        effect.servicesAdded.map { NotedChange("service \($0)", new: "added") }
          + effect.servicesRemoved.map { NotedChange("service \($0)", new: "removed") }, asked)
    }
    for pool in effect.pools {
      let moved = "\(pool.slotsMoved)/\(pool.slotsTotal)"
      logger.info("table published", metadata: ["pool": "\(pool.pool)", "moved": "\(moved)"])
      events.append(
        type: "plan", object: pool.pool, new: "moved \(moved) slots", reason: asked?.reason, by: asked?.by)
    }
    for warning in effect.warnings { logger.warning("\(warning)") }
  }

  /// Ends forwarding: the program leaves the interface, the pins go.
  func detachForwarder(by requester: Requester) throws {
    try forwarder.detach()
    isAttached = false
    detachedBy = requester.identity
    defer { _ = alarms() }
    logger.notice(
      "detached: nothing is forwarded any more",
      metadata: [
        "interface": "\(interface?.name ?? configuration.node.interface.name)", "by": "\(requester.identity)",
      ])
    events.append(
      type: "interface", object: interface?.name ?? configuration.node.interface.name, new: "detached",
      by: requester.identity)
  }

  /// Brings forwarding back after ``detachForwarder(by:)``; changes nothing where the program is attached.
  func attachForwarder(by requester: Requester) throws {
    guard !isForwarding else { return }
    guard interface != nil else {
      throw ControlError.refused(
        "interface-missing",
        "interface \(configuration.node.interface.name) does not exist: create it, then try again")
    }
    try attach(by: requester)
    attachTrouble = nil
    _ = alarms()
  }

}

/// Why the daemon does not start.
public struct StartError: Error, CustomStringConvertible {
  public let description: String
  /// Whether another process has what this one needs: its pins or its sockets.
  public let isHeld: Bool

  init(_ message: String, cure: String?, isHeld: Bool = false) {
    description = message + (cure.map { "; \($0)" } ?? "")
    self.isHeld = isHeld
  }

  /// - Parameter cure: what to do where another process uses the pins.
  init(_ error: DataplaneError, cure: String) {
    if case .pinsHeld(let path, let holder) = error {
      self.init("\(LockHolder(process: holder)) uses the pins in \(path)", cure: cure, isHeld: true)
    } else {
      self.init("\(error)", cure: nil)
    }
  }
}
