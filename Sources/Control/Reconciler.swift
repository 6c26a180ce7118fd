// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import Dataplane
internal import Foundation
public import LoadBalancing
public import Logging
internal import Netlink

/// Owns the installed state and is its only writer: configuration, overrides and the network go in, plans come out,
/// are applied and recorded.
public actor Reconciler {
  let configurationPath: String
  let logger: Logger
  let startedAt = Date()

  private(set) var configuration: Configuration
  private(set) var configurationLoadedAt = Date()
  private(set) var lastReload: ReloadOutcome
  private(set) var overrides: [BackendOverride] = []
  private(set) var installed = InstalledState()
  private(set) var generation = 1
  private(set) var ways: [IPAddress: NextHops.Way] = [:]
  private(set) var interface: Link?
  private(set) var restartRequired: [String] = []
  private(set) var isAttached = false

  let forwarder: Forwarder
  private let store: OverrideStore
  private var nextHops: NextHops
  private var overrideTrouble: String?
  private var applyTrouble: String?
  /// When each leaving backend began to leave, by the daemon's monotonic clock.
  private var leavingSince: [BackendNumber: ContinuousClock.Instant] = [:]
  private var alarmsSince: [String: Date] = [:]

  /// How a reload went.
  struct ReloadOutcome: Sendable {
    var at = Date()
    /// Why it failed; nil where all went well.
    var failure: String?
    /// What is wrong with the file.
    var diagnostics: [Diagnostic] = []

    var isSuccessful: Bool { failure == nil }
  }

  /// How long a backend that left the configuration is kept for its flows.
  private static let leavingTime: Duration = .seconds(7200)

  /// Loads the program, adopts what is pinned, and forwards as the configuration says.
  /// - Throws: ``StartError`` with a message for the operator; what an earlier daemon left keeps forwarding.
  public init(configurationPath: String, configuration: Configuration, logger: Logger) throws(StartError) {
    self.configurationPath = configurationPath
    self.configuration = configuration
    self.logger = logger
    lastReload = ReloadOutcome()
    let node = configuration.node
    store = OverrideStore(directory: node.stateDirectory)
    do throws(NetlinkError) {
      nextHops = try NextHops(policy: node.interface.nextHop)
      guard let link = try nextHops.link(named: node.interface.name) else {
        throw NetlinkError.init(operation: "find interface", subject: node.interface.name, errno: ENODEV)
      }
      interface = link
    } catch {
      throw StartError("\(error)", cure: "interfaces[0].name names an interface of this host: see `ip link`")
    }
    do throws(DataplaneError) {
      forwarder = try Forwarder(node, isFullSpeed: Capabilities.hasPerfmon())
    } catch {
      throw StartError("\(error)", cure: nil)
    }
  }

  /// Brings the data plane to the configuration and attaches the program.
  public func start() async throws(StartError) {
    do throws(OverrideStoreError) {
      overrides = try store.load()
    } catch {
      overrideTrouble = "\(error)"
      logger.error(
        "overrides not loaded; the configuration alone is in force", metadata: ["error": "\(error)"])
    }
    do throws(DataplaneError) {
      if case .created(let reason) = forwarder.origin {
        logger.notice("new maps", metadata: ["reason": "\(reason)"])
      } else {
        installed = try forwarder.readInstalled()
        logger.notice(
          "adopted the running maps",
          metadata: ["services": "\(installed.services.count)", "backends": "\(installed.backends.count)"])
        if try forwarder.seedChanged() {
          logger.warning(
            "hash_seed differs from the one the tables were filled under: flows change their slots now")
        }
      }
      for number in installed.backends.values.filter(\.isLeaving).map(\.number) {
        leavingSince[number] = .now
      }
      await resolveNextHops(patience: .seconds(2))
      try applyPlan(try plan())
      try attach()
    } catch {
      throw StartError("\(error)", cure: nil)
    }
  }

  private func attach() throws(DataplaneError) {
    guard let interface else { return }
    if let mac = interface.hardwareAddress { forwarder.setInterfaceAddress(mac.octets) }
    try forwarder.attach(interfaceIndex: interface.index, mode: configuration.node.interface.mode)
    isAttached = true
    let mode = forwarder.attachment.map { "\($0.mode.rawValue)" } ?? "none"
    logger.notice(
      "attached",
      metadata: [
        "interface": "\(interface.name)", "mode": "\(mode)",
        "reason": "\(forwarder.attachment?.reason ?? "")",
        "speed": "\(forwarder.isFullSpeed ? "full" : "with speculation barriers (no CAP_PERFMON)")",
      ])
  }

  // MARK: Plans

  /// The configuration with the overrides in force.
  var desired: DesiredState { configuration.desired.applying(overrides) }

  func plan(
    _ desired: DesiredState? = nil, expired: Set<BackendNumber> = []
  ) throws(DataplaneError) -> Result<Plan, PlanError> {
    let now = try forwarder.now()
    do throws(PlanError) {
      return .success(
        try Planner.plan(
          from: installed, to: desired ?? self.desired, limits: configuration.node.limits, now: now,
          expired: expired))
    } catch {
      return .failure(error)
    }
  }

  /// Applies a plan; on failure what the kernel holds is read again, and the next tick tries once more.
  func applyPlan(_ plan: Result<Plan, PlanError>) throws(DataplaneError) {
    guard case .success(let plan) = plan else {
      if case .failure(let error) = plan {
        applyTrouble = "\(error)"
        logger.error("no plan", metadata: ["error": "\(error)"])
      }
      return
    }
    do throws(DataplaneError) {
      try forwarder.apply(plan, nextHops: ways.mapValues(\.state))
      installed = plan.result
      applyTrouble = nil
    } catch {
      applyTrouble = "\(error)"
      installed = try forwarder.readInstalled()
      logger.error("a change was not applied whole; trying again", metadata: ["error": "\(error)"])
      throw error
    }
    noteLeaving()
    if !plan.isEmpty { log(plan.effect) }
  }

  private func noteLeaving() {
    let leaving = Set(installed.backends.values.filter(\.isLeaving).map(\.number))
    for number in leaving where leavingSince[number] == nil { leavingSince[number] = .now }
    leavingSince = leavingSince.filter { leaving.contains($0.key) }
  }

  private func log(_ effect: Effect) {
    for pool in effect.pools {
      logger.info(
        "table published",
        metadata: ["pool": "\(pool.pool)", "moved": "\(pool.slotsMoved)/\(pool.slotsTotal)"])
    }
    for warning in effect.warnings { logger.warning("\(warning)") }
  }

  /// The plan to a state that is only asked about; an error where the limits forbid it.
  func effect(of overrides: [BackendOverride], expiring: Set<BackendNumber> = []) throws -> Effect {
    try plan(configuration.desired.applying(overrides), expired: expiring).get().effect
  }

  /// Puts overrides in force and saves them. All of it or nothing: a plan that does not exist changes nothing.
  func put(_ changed: [BackendOverride], expiring: Set<BackendNumber> = []) async throws -> Effect {
    let desired = configuration.desired.applying(changed)
    await resolveNextHops(for: desired, patience: .milliseconds(500))
    let plan = try plan(desired, expired: expiring).get()
    try applyPlan(.success(plan))
    overrides = changed.filter { !$0.isRedundant(in: configuration.desired) }
    generation += 1
    saveOverrides()
    return plan.effect
  }

  private func saveOverrides() {
    do throws(OverrideStoreError) {
      try store.save(overrides)
      overrideTrouble = nil
    } catch {
      overrideTrouble = "the change is in force but not saved: \(error)"
      logger.error("overrides not saved", metadata: ["error": "\(error)"])
    }
  }

  // MARK: Configuration

  /// Reads the configuration anew and brings the data plane to it. A bad file changes nothing.
  @discardableResult
  func reload() async -> (outcome: ReloadOutcome, effect: Effect?) {
    let report = ConfigurationLoader.load(path: configurationPath)
    guard let read = report.configuration else {
      let first = report.errors.first.map { "\($0.file):\($0.line):\($0.column): \($0.message)" } ?? ""
      lastReload = ReloadOutcome(failure: "\(report.summary): \(first)", diagnostics: report.diagnostics)
      logger.error(
        "configuration refused; the running one stays in force",
        metadata: ["errors": "\(report.errors.count)", "first": "\(first)"])
      return (lastReload, nil)
    }
    for warning in report.warnings { logger.warning("\(warning.file):\(warning.line): \(warning.message)") }
    let restart = read.node.differences(from: configuration.node)
    do {
      let desired = read.desired.applying(overrides)
      await resolveNextHops(for: desired, patience: .milliseconds(500))
      let plan = try plan(desired).get()
      try applyPlan(.success(plan))
      configuration.desired = read.desired
      configurationLoadedAt = Date()
      restartRequired = restart
      overrides.removeAll { $0.isRedundant(in: read.desired) }
      saveOverrides()
      generation += 1
      lastReload = ReloadOutcome()
      logger.notice(
        "configuration reloaded",
        metadata: ["generation": "\(generation)", "restart": "\(restart.joined(separator: ","))"])
      return (lastReload, plan.effect)
    } catch {
      lastReload = ReloadOutcome(failure: "\(error)")
      logger.error("configuration not applied", metadata: ["error": "\(error)"])
      return (lastReload, nil)
    }
  }

  // MARK: Network

  /// Looks at the interface, the routes and the neighbours again, and tells the data plane what changed.
  func networkChanged() {
    do {
      let link = try nextHops.link(named: configuration.node.interface.name)
      defer { interface = link }
      guard let link else { return }
      if link.index != interface?.index {
        interface = link
        if isAttached { try attach() }
      } else if let mac = link.hardwareAddress, mac != interface?.hardwareAddress {
        forwarder.setInterfaceAddress(mac.octets)
        logger.notice("interface address changed", metadata: ["mac": "\(mac)"])
      }
      interface = link
      refreshWays()
    } catch {
      logger.error("the network's state could not be read", metadata: ["error": "\(error)"])
    }
  }

  private func refreshWays(for desired: DesiredState? = nil) {
    guard let interface else { return }
    let wanted = (desired ?? self.desired).pools.flatMap { $0.backends.map(\.address) }
    let addresses = Set(wanted).union(installed.backends.values.map(\.address))
    do throws(NetlinkError) {
      var fresh = try nextHops.ways(to: addresses, over: interface)
      // A next hop that stops answering keeps its last known address: sending there is better than not sending.
      for (address, way) in fresh where way.state.mac == nil {
        fresh[address]?.state.mac = ways[address]?.state.mac
      }
      ways = fresh
    } catch {
      logger.error("routes and neighbours could not be read", metadata: ["error": "\(error)"])
      return
    }
    for backend in installed.backends.values {
      guard let way = ways[backend.address], way.state.mac != nil else { continue }
      forwarder.setNextHop(way.state, of: backend.number)
    }
  }

  /// Asks for the ways to the backends of `desired` and gives the neighbours some time to answer.
  private func resolveNextHops(for desired: DesiredState? = nil, patience: Duration) async {
    let deadline = ContinuousClock.now + patience
    let wanted = Set((desired ?? self.desired).pools.flatMap { $0.backends.map(\.address) })
    repeat {
      refreshWays(for: desired)
      if wanted.allSatisfy({ ways[$0]?.state.mac != nil }) { return }
      try? await Task.sleep(for: .milliseconds(20))
    } while ContinuousClock.now < deadline
  }

  // MARK: Time

  /// What time brings: backends whose leaving is over, flow entries that are dead, a failed change to be retried.
  func tidy() {
    do {
      let expired = leavingSince.filter { ContinuousClock.now - $0.value > Self.leavingTime }.map(\.key)
      if applyTrouble != nil || !expired.isEmpty { try applyPlan(try plan(expired: Set(expired))) }
      try forwarder.sweepFlows()
    } catch {
      logger.error("tidying failed", metadata: ["error": "\(error)"])
    }
  }

  /// Ends forwarding: the program leaves the interface, the pins go.
  func detachForwarder() throws {
    try forwarder.detach()
    isAttached = false
    logger.notice("detached: nothing is forwarded any more")
  }

  // MARK: Alarms

  struct Alarm: Sendable {
    var code: String
    var message: String
    var object: String
    var cure: String
    var since: Date
  }

  /// What an operator should look at, each with its cure.
  func alarms() -> [Alarm] {
    var found: [(code: String, message: String, object: String, cure: String)] = []
    if interface == nil {
      let name = configuration.node.interface.name
      found.append(
        (
          "interface-missing", "interface \(name) does not exist", name,
          "create it: forwarding resumes by itself"
        ))
    } else if interface?.isRunning == false, let name = interface?.name {
      found.append(
        ("interface-down", "interface \(name) has no carrier or is down", name, "ip link set \(name) up"))
    }
    for backend in installed.backends.values.sorted(by: { $0.number < $1.number }) {
      guard let trouble = ways[backend.address]?.trouble else { continue }
      found.append(
        (
          "no-next-hop", "\(backend.pool)/\(backend.name): \(trouble)", "\(backend.pool)/\(backend.name)",
          "ip route get \(backend.address); ip neigh show dev \(configuration.node.interface.name)"
        ))
    }
    for pool in installed.pools.values where pool.slots.allSatisfy({ $0.current == 0 }) {
      found.append(
        (
          "pool-empty", "pool \(pool.name) has no backend that takes new flows", pool.name,
          "sluice backend list \(pool.name)"
        ))
    }
    if let overrideTrouble {
      found.append(
        ("overrides", overrideTrouble, configuration.node.stateDirectory, "make the state directory writable")
      )
    }
    if let applyTrouble { found.append(("not-applied", applyTrouble, "", "retried every 10 s; see the log")) }
    if !lastReload.isSuccessful {
      found.append(
        ("reload-failed", lastReload.failure ?? "", configurationPath, "sluice config check"))
    }
    let objects = Set(found.map { $0.code + $0.object })
    alarmsSince = alarmsSince.filter { objects.contains($0.key) }
    return found.map { alarm in
      let since = alarmsSince[alarm.code + alarm.object] ?? Date()
      alarmsSince[alarm.code + alarm.object] = since
      return Alarm(
        code: alarm.code, message: alarm.message, object: alarm.object, cure: alarm.cure, since: since)
    }
  }
}

/// Why the daemon does not start.
public struct StartError: Error, CustomStringConvertible {
  public let description: String

  init(_ message: String, cure: String?) { description = message + (cure.map { "; \($0)" } ?? "") }
}
