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

  var configuration: Configuration
  var configurationLoadedAt = Date()
  var lastReload: ReloadOutcome
  var overrides: [BackendOverride] = []
  private(set) var installed = InstalledState()
  var generation = 1
  var ways: [IPAddress: NextHops.Way] = [:]
  var interface: Link?
  var restartRequired: [String] = []
  private(set) var isAttached = false

  let forwarder: Forwarder
  private let store: OverrideStore
  var nextHops: NextHops
  var overrideTrouble: String?
  var applyTrouble: String?
  private var isInstalledStale = false
  /// Whether a reload failed at the data plane, whose file is good.
  var isReloadDue = false
  /// When pins were last found missing, and what became of it.
  var pinTrouble: (at: Date, what: String)?
  /// When each leaving backend began to leave, by the daemon's monotonic clock.
  private var leavingSince: [BackendNumber: ContinuousClock.Instant] = [:]
  var alarmsSince: [String: Date] = [:]

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
      if let mac = interface?.hardwareAddress { forwarder.setInterfaceAddress(mac.octets) }
      for line in try forwarder.takeOver() { logger.notice("\(line)") }
      if case .created(let reason) = forwarder.origin {
        logger.notice("new maps", metadata: ["reason": "\(reason)"])
      } else {
        installed = try forwarder.readInstalled()
        var metadata: Logger.Metadata = [
          "services": "\(installed.services.count)", "backends": "\(installed.backends.count)",
        ]
        if case .carriedOver(let reason) = forwarder.origin { metadata["new"] = "\(reason)" }
        logger.notice("adopted the running maps", metadata: metadata)
        if forwarder.seedChanged() {
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

  func attach() throws(DataplaneError) {
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
    try lookAgain()
    let now = try forwarder.now()
    do throws(PlanError) {
      return .success(
        try Planner.plan(
          from: installed, to: desired ?? self.desired, limits: configuration.node.limits, now: now,
          tickLength: forwarder.tickLength,
          expired: expired))
    } catch {
      return .failure(error)
    }
  }

  /// Applies a plan. On failure what was desired before is brought back, now or, where the kernel refuses that too,
  /// with the next tick that it lets pass.
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
      logger.error("a change was not applied", metadata: ["error": "\(error)"])
      isInstalledStale = true
      goBack()
      throw error
    }
    noteLeaving()
    if !plan.isEmpty { log(plan.effect) }
  }

  /// From wherever a change stopped to what is desired.
  private func goBack() {
    do throws(DataplaneError) {
      guard case .success(let plan) = try plan() else { return }
      try forwarder.apply(plan, nextHops: ways.mapValues(\.state))
      installed = plan.result
      applyTrouble = nil
    } catch {
      isInstalledStale = true
      logger.error("nor could it be taken back; trying again", metadata: ["error": "\(error)"])
    }
  }

  /// Reads what the kernel holds after a change that failed. Until that is known there is no plan.
  private func lookAgain() throws(DataplaneError) {
    guard isInstalledStale else { return }
    installed = try forwarder.readInstalled()
    isInstalledStale = false
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
    await resolveNextHops(for: configuration.desired.applying(changed), patience: .milliseconds(500))
    // Formed after the wait, in which a reload may have been done.
    let plan = try plan(configuration.desired.applying(changed), expired: expiring).get()
    try applyPlan(.success(plan))
    overrides = changed.filter { !$0.isRedundant(in: configuration.desired) }
    generation += 1
    saveOverrides()
    return plan.effect
  }

  func saveOverrides() {
    do throws(OverrideStoreError) {
      try store.save(overrides)
      overrideTrouble = nil
    } catch {
      overrideTrouble = "the change is in force but not saved: \(error)"
      logger.error("overrides not saved", metadata: ["error": "\(error)"])
    }
  }

  // MARK: Time

  /// What time brings: backends whose leaving is over, flow entries that are dead, a failed change to be retried.
  func tidy() {
    watchPins()
    do {
      let expired = leavingSince.filter { ContinuousClock.now - $0.value > Self.leavingTime }.map(\.key)
      if applyTrouble != nil || !expired.isEmpty { try applyPlan(try plan(expired: Set(expired))) }
      _ = try forwarder.census(of: installed)
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

}

/// Why the daemon does not start.
public struct StartError: Error, CustomStringConvertible {
  public let description: String

  init(_ message: String, cure: String?) { description = message + (cure.map { "; \($0)" } ?? "") }
}
