// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Logging
internal import Netlink
internal import Probing

/// How health takes part in what is desired.
extension Reconciler {
  /// What a configuration and overrides ask for, with what health makes of it.
  func desired(
    _ configured: DesiredState, _ overrides: [BackendOverride], known: KnownBackends? = nil
  ) -> DesiredState {
    let wanted = configured.applying(overrides.following(installed.renames(to: configured)))
    guard let checks else { return wanted }
    let remainder = installed.remainder(beside: wanted)
    return wanted.applying(
      checks.foretell(wanted, beside: remainder, known: known ?? self.known(in: wanted)))
  }

  typealias KnownBackends = @Sendable (BackendKey, IPAddress) -> Bool?

  /// Whether packets may go to a backend by what is installed; nil where it is not, or had another address, or where no
  /// service asks its pool: such a pool was never in use, or its first verdicts were still awaited.
  ///
  /// One that leaves is known, too: it has its connections, and would lose them if it came back as one never seen.
  /// - Parameter desired: pools are called as there.
  func known(in desired: DesiredState) -> KnownBackends {
    let installed = installed.renamed(to: desired)
    let services = installed.services.values
    let asked = Set(services.map(\.service.pool)).union(services.compactMap(\.move?.pool))
    let backends = Dictionary(grouping: installed.backends.values.filter { asked.contains($0.pool) }) {
      BackendKey(pool: $0.pool, backend: $0.name)
    }
    return { name, address in
      backends[name]?.first { $0.address == address }?.isUsable
    }
  }

  /// Begins the checks: what is installed tells the health that every backend begins with.
  /// - Precondition: no capability is left; the prober's thread would keep it.
  func beginChecks() throws {
    let prober = try Prober(steering: Steering(tunnel: probeTunnel), echo: echo, maxInFlight: 16_384)
    let checks = HealthChecks(prober: prober) { [logger, events] transition in
      transition.tell(logger, events)
    }
    self.checks = checks
    checkDesired(known: forwarder.replacesUnreadable ? remembered : known(in: configuration.desired))
  }

  /// Whether packets may go to a backend by what was saved. What nobody saved is taken for healthy: clients reach it
  /// now, and its checks will say soon if they should not.
  private var remembered: (BackendKey, IPAddress) -> Bool? {
    let absentees = healthStore.load() ?? []
    return { name, address in !absentees.contains(HealthStore.Absentee(name, address)) }
  }

  private func saveHealth() {
    let outOfUse = desired.pools.flatMap { pool in
      pool.backends.filter { !$0.isInUse }.map {
        HealthStore.Absentee(BackendKey(pool: pool.name, backend: $0.name), $0.address)
      }
    }
    do {
      try healthStore.save(Set(outOfUse))
    } catch {
      logger.error("health not saved", metadata: ["error": "\(error)"])
    }
  }

  /// Checks what is desired now, and has the latest verdict in force from the next plan on.
  /// - Parameter known: as ``known(in:)`` was before what is desired was installed: a backend that a change brings is new.
  func checkDesired(known: (BackendKey, IPAddress) -> Bool?) {
    guard let checks else { return }
    let wanted = configuration.desired.applying(overrides)
    remainder = installed.remainder(beside: wanted)
    tellWays()
    take(checks.check(wanted, beside: remainder, known: known))
  }

  /// Checks what a plan left behind, and no more what it released.
  func checkRemainder() {
    let isSame = installed.remainder(beside: configuration.desired.applying(overrides)).isAlike(remainder)
    if !isSame { checkDesired(known: known(in: configuration.desired)) }
  }

  /// Brings the data plane to what health decided.
  func healthDecided() {
    guard let checks else { return }
    take(checks.verdict)
    followHealth()
    reportReady()
    _ = alarms()
  }

  /// Makes a plan for verdicts that no plan has taken in: also for those that fell while another plan was made.
  func followHealth() {
    guard !isFulfilled else { return }
    do throws(DataplaneError) {
      try applyPlan(try plan())
      healthPlans += 1
      checkRemainder()
    } catch {
      // Reported, and tried again by tidy().
    }
  }

  private func take(_ decision: HealthDecision) {
    for (name, pool) in decision.pools.sorted(by: { $0.key < $1.key }) {
      report(pool, of: name, before: health.pools[name])
    }
    for name in decision.awaited.subtracting(health.awaited).sorted() {
      logger.notice("pool awaits the first verdicts on its backends", metadata: ["pool": "\(name)"])
      events.append(
        type: "pool", object: name, new: "awaited", reason: "its backends have no health verdict yet")
    }
    for name in health.awaited.subtracting(decision.awaited).sorted() {
      // A pool that was removed, or is not checked any more, got no verdict.
      guard let pool = decision.pools[name] else { continue }
      let count = "\(pool.healthy) healthy, \(pool.required) required"
      logger.notice("pool has its first verdicts", metadata: ["pool": "\(name)", "backends": "\(count)"])
      events.append(type: "pool", object: name, old: "awaited", new: "judged", reason: count)
    }
    health = decision
    saveHealth()
  }

  private func report(_ pool: PoolHealth, of name: String, before: PoolHealth?) {
    let count = "\(pool.healthy) healthy, \(pool.required) required"
    if pool.isSufficient != before?.isSufficient ?? true {
      let policy = pool.policy.map { ": \($0.rawValue)" } ?? ""
      let (old, new) = pool.isSufficient ? ("insufficient", "sufficient") : ("sufficient", "insufficient")
      logger.log(
        level: pool.isSufficient ? .notice : .error, "pool is \(new)\(policy)",
        metadata: ["pool": "\(name)", "backends": "\(count)"])
      events.append(type: "pool", object: name, old: old, new: new, reason: count + policy)
    }
    if pool.heldByGuard != before?.heldByGuard ?? [] {
      let held = pool.heldByGuard.joined(separator: ", ")
      let what = held.isEmpty ? "holds no backend any more" : "keeps in use although down: \(held)"
      logger.log(level: held.isEmpty ? .notice : .error, "guard \(what)", metadata: ["pool": "\(name)"])
      events.append(type: "pool", object: name, new: "guarded", reason: "the guard \(what)")
    }
  }

  /// How the checks call a backend that is installed.
  func checkKey(of backend: InstalledState.Backend) -> BackendKey {
    let isLeaving = backend.isLeaving || remainder.leaving[backend.number] != nil
    return BackendKey(pool: backend.pool, backend: backend.name, leaving: isLeaving ? backend.number : nil)
  }

  /// Gives the checks the number and the path of every backend.
  func tellWays() {
    guard let checks else { return }
    noteGateways(for: checks)
    var found: [BackendKey: HealthChecks.Way] = [:]
    for backend in installed.backends.values {
      found[checkKey(of: backend)] = way(of: backend)
    }
    let index = interface?.index
    let isHooked = index != nil && index == probeTunnel.attachedInterface
    checks.take(ways: found, interfaceIndex: isHooked ? index : nil, trouble: interfaceTrouble)
  }

  /// How probes get to a backend.
  func way(of backend: InstalledState.Backend) -> HealthChecks.Way {
    let way = ways[backend.address]
    let isBackendSilent = way?.via == backend.address && !(way?.isResolved ?? false)
    var result = HealthChecks.Way(
      number: backend.number, innerMTU: (way?.state.mtu ?? 1500) - backend.address.family.headerLength)
    if way?.state.mac == nil {
      // A backend on the link that does not answer is dead; a gateway that does not is this host's trouble.
      result.trouble = ProbeOutcome.Failure(
        isBackendSilent ? .route : .local, way?.trouble ?? "no next hop is known")
    }
    for family in AddressFamily.allCases {
      let isOwnFamily = backend.address.family == family
      result.sources[family] = (isOwnFamily ? way?.state.sourceAddress : nil) ?? probePaths.sources[family]
      result.standIns[family] = way.flatMap {
        probePaths.standIn(for: family, $0, backend: backend.address)
      }
    }
    result.isBackendSilent = isBackendSilent
    return result
  }

  /// Looks for a router of each family that VIPs have, and backends have not.
  private func noteGateways(for checks: HealthChecks) {
    guard let interface else { return }
    for vip in checks.vipsOfOtherFamilies {
      if let gateway = nextHops.gateway(towards: vip, over: interface) {
        probePaths.gateways[vip.family] = gateway
      }
    }
  }

  /// Why no packet leaves the interface; nil: they do, as far as is known.
  var interfaceTrouble: String? {
    guard let interface else {
      return "interface \(configuration.node.interface.name) does not exist"
    }
    if !interface.isRunning { return "interface \(interface.name) has no carrier or is down" }
    return probeTunnel.attachedInterface == interface.index
      ? nil : "probes cannot leave \(interface.name): \(probeTrouble ?? "their program is not attached")"
  }

  /// Lets the egress program see what leaves the interface; again, where that was made anew.
  func attachProbeTunnel() {
    guard let interface, probeTunnel.attachedInterface != interface.index else { return }
    defer { tellWays() }
    do throws(DataplaneError) {
      try probeTunnel.attach(interfaceIndex: interface.index)
      probeTrouble = nil
    } catch {
      let trouble = "\(error)"
      if trouble != probeTrouble { logger.error("probes cannot leave", metadata: ["error": "\(trouble)"]) }
      probeTrouble = trouble
    }
  }
}

/// Steers probes by the egress program.
private final class Steering: ProbeSteering {
  private let tunnel: ProbeTunnel

  init(tunnel: ProbeTunnel) { self.tunnel = tunnel }

  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws {
    try self.tunnel.steer(flow, to: tunnel.backend, fromOwnAddress: tunnel.fromOwnAddress)
  }

  func release(_ flow: ProbeFlow) { tunnel.release(flow) }

  func trace(of flow: ProbeFlow) -> ProbeTrace? { tunnel.trace(of: flow) }
}

extension HealthTransition {
  fileprivate func tell(_ logger: Logger, _ events: EventLog) {
    let isWorse = from.isHealthy && !to.isHealthy
    logger.log(
      level: isWorse ? .warning : from.isHealthy == to.isHealthy ? .info : .notice,
      "backend is \(to.rawValue)",
      metadata: ["backend": "\(backend)", "from": "\(from.rawValue)", "reason": "\(reason ?? "probes pass")"])
    events.append(
      type: "health", object: "\(backend)", old: from.rawValue, new: to.rawValue, reason: reason)
  }
}
