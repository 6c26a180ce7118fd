// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// Everything that metrics show, as of one moment.
struct Metrics: Sendable {
  struct Service: Sendable {
    var service: VirtualService
    var forwarded: Counter
  }

  struct Backend: Sendable {
    var facts: BackendFacts
    var forwarded: Counter
    /// How often its administrative state changed; nil: it was not recorded yet.
    var changes: Changes?
  }

  var daemon: Daemon
  var dataplane = DataplaneFacts()
  var pools: [PoolFacts] = []
  /// Slots that plans moved, by pool.
  var movedSlots: [String: UInt64] = [:]
  var services: [Service] = []
  var backends: [Backend] = []
  var checks = Checks()
  var api = APIFacts()
  /// nil: it could not be read.
  var usage: ProcessUsage?

  /// Always the same families, including those without a sample.
  var text: String {
    var out = Exposition()
    addDaemon(to: &out)
    addDataplane(to: &out)
    addPools(to: &out)
    addServices(to: &out)
    addBackends(to: &out)
    addChecks(to: &out)
    addRequests(to: &out)
    addProcess(to: &out)
    return out.text
  }
}

extension Snapshot {
  /// - Parameters:
  ///   - api: requests and followers of the control API.
  ///   - usage: CPU time, memory and descriptors of the process.
  func metrics(
    _ counters: CounterReading, _ checks: CheckReading, _ api: Metrics.APIFacts, _ usage: ProcessUsage?,
    at now: Moment
  ) -> Metrics {
    let forwarded = forwarded(counters)
    var metrics = Metrics(daemon: daemonFacts(at: now))
    metrics.dataplane = dataplaneFacts(counters)
    metrics.pools = poolFacts
    metrics.movedSlots = history.movedSlots
    metrics.services = forwarding.installed.services.sorted { $0.key < $1.key }.map { key, installed in
      Metrics.Service(
        service: installed.service, forwarded: forwarded.services[key] ?? Counter())
    }
    metrics.backends = backendFacts(forwarded, checks, at: now).map { facts in
      let number = facts.backend.number
      return Metrics.Backend(
        facts: facts, forwarded: forwarded.backends[number] ?? Counter(),
        changes: history.states[number])
    }
    metrics.checks = checkFacts(checks, counters.probePackets)
    metrics.api = api
    metrics.usage = usage
    return metrics
  }

  private func daemonFacts(at now: Moment) -> Metrics.Daemon {
    Metrics.Daemon(
      version: process.version, node: nodeName, generation: configuration.generation,
      configurationLoadedAt: configuration.loadedAt.date(at: now),
      isReloadSuccessful: configuration.lastReload.isSuccessful, reloads: history.reloads,
      isRestartRequired: !configuration.restartRequired.isEmpty, overrides: overrides.inForce,
      alarms: alarms.current)
  }

  private func dataplaneFacts(_ counters: CounterReading) -> Metrics.DataplaneFacts {
    let attachment = uplinks.isForwarding ? uplinks.attachment : nil
    return Metrics.DataplaneFacts(
      attachment: attachment.map {
        (uplinks.configuredName, $0.mode, process.isFullSpeed && $0.mode == .native)
      },
      verdicts: counters.verdicts, flowEvents: counters.flowEvents,
      flowsUsed: flows.census?.found.entries ?? 0, flowsCapacity: configuration.node.limits.flows)
  }

  private func checkFacts(_ checks: CheckReading, _ packets: [String: UInt64]) -> Metrics.Checks {
    var healths: [BackendKey: HealthState] = [:]
    // If two backends have one name, the one that is not leaving is shown.
    for (key, health) in checks.healths.sorted(by: { $0.key > $1.key }) {
      healths[BackendKey(pool: key.pool, backend: key.backend)] = health.state
    }
    return Metrics.Checks(
      counts: checks.counts, healths: healths, pools: health.decision.pools, plans: history.healthPlans,
      inFlight: checks.inFlight, packets: packets)
  }
}
