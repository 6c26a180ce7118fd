// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
import LoadBalancing

@testable import Control
@testable import Dataplane

/// States of a daemon for metrics to tell.
enum MetricsSamples {
  /// Of a daemon that has done nothing yet, and forwards nothing.
  static let empty = Metrics(
    daemon: Metrics.Daemon(
      version: "0.1.0", node: "lb1", generation: 1,
      configurationLoadedAt: Date(timeIntervalSince1970: 1_795_000_000.5)))

  /// Names as nobody should choose them: they must come back from the text as they went in. One of them has a quote
  /// and one a line's end that are no characters of their own, but the beginning or the end of one.
  static let names = [
    "we\"b", "back\\slash", "two\nlines", "carriage\r\nreturn", "quote\"\u{301}", "b\u{f6}\u{1f642}", "\\n",
    "",
    "} 1\nsluice_alarms{code=\"x\"} 7",
  ]

  /// With a sample of every family, and a pool, a backend and a service of every name.
  static func full() throws -> Metrics {
    var metrics = empty
    let desired = Self.desired
    let history = try history(desired)
    metrics.daemon.reloads = history.reloads
    metrics.daemon.alarms = [Alarm(.reloadFailed, "x", "1 error", cure: "sluice config check")]
    metrics.daemon.isRestartRequired = true
    metrics.daemon.overrides = [
      BackendOverride(
        pool: "web", backend: "b1", state: .drain, weight: 5, provenance: Provenance(by: "root", at: 0)),
      BackendOverride(
        pool: "web", backend: "b2", presence: .removed, provenance: Provenance(by: "root", at: 0)),
    ]
    metrics.dataplane.attachment = ("eth0", .native, true)
    metrics.dataplane.verdicts = [
      VerdictCount(name: "forwarded", verdictClass: .forwarded, count: Counter(packets: 3, bytes: 180))
    ]
    metrics.dataplane.flowsCapacity = 65536
    metrics.pools = names.map { name in
      let slots = [Slot](repeating: Slot(current: 1), count: 251)
      let pool = InstalledState.Pool(number: 1, name: name, hash: .flow, firstSlot: 0, slots: slots)
      return PoolFacts(pool: pool, changedSlots: 3, ready: 1, required: 1, backends: 2)
    }
    metrics.movedSlots = history.movedSlots
    let key = VirtualService.Key(address: IPAddress("192.0.2.1")!, transport: .tcp, port: 443)
    metrics.services = names.map { name in
      Metrics.Service(
        service: VirtualService(key: key, name: name, pool: name),
        forwarded: Counter(packets: 5, bytes: 1 << 52))
    }
    metrics.backends = names.flatMap { pool in
      [("b1", "ready", HealthState.down), (pool, "drain", .up)].map { name, state, health in
        backend(name, in: pool, state, health)
      }
    }
    metrics.checks = checks(desired)
    let requests = RequestCounts()
    requests.note(route: nil, method: .get, status: .notFound, duration: .microseconds(70))
    requests.note(route: nil, method: .get, status: .notFound, duration: .seconds(70))
    metrics.api = Metrics.APIFacts(requests: requests.counts, events: ["health": 3], followers: 1)
    metrics.usage = ProcessUsage.now()
    return metrics
  }

  private static func backend(
    _ name: String, in pool: String, _ state: String, _ health: HealthState
  ) -> Metrics.Backend {
    var installed = Sample.backend(1, pool: pool)
    installed.name = name
    var facts = BackendFacts(
      backend: installed,
      progress: DrainProgress(flows: 2, unconfirmed: 0, lastUnknown: 1.5, draining: nil, age: 0))
    (facts.weight, facts.state, facts.health, facts.share) = (100, state, health, 1)
    let now = Date(timeIntervalSince1970: 1_795_000_100)
    var changes = Changes(since: now)
    changes.add(at: now)
    return Metrics.Backend(facts: facts, forwarded: Counter(packets: 7, bytes: 420), changes: changes)
  }

  static var desired: DesiredState {
    let check = HealthCheck(
      kind: .tcp, via: .direct, port: 80, interval: .seconds(1), timeout: .seconds(1), rise: 1, fall: 1,
      damping: Damping(hold: .zero))
    return DesiredState(
      pools: names.map { name in
        let backends = ["b1", name].enumerated().map {
          Backend(name: $1, address: IPAddress("10.0.0.\($0 + 1)")!)
        }
        return Pool(name: name, backends: backends, tableSize: 251, health: HealthPolicy(check: check))
      })
  }

  private static func history(_ desired: DesiredState) throws -> History {
    var history = History()
    let plan = try Planner.plan(
      from: InstalledState(), to: desired, limits: NodeSettings.Limits(), now: Tick(0))
    history.notePlan(plan, desired, at: Sample.start)
    history.noteReload(ReloadOutcome(at: Sample.start, failure: "connections would break"))
    return history
  }

  private static func checks(_ desired: DesiredState) -> Metrics.Checks {
    var board = HealthBoard()
    board.configure(desired, at: .zero) { _, _ in true }
    var checks = Metrics.Checks()
    checks.counts.follow(board.jobs.values)
    for job in board.jobs.values {
      for milliseconds in [0, 1, 2, 40, 4999, 60_000] {
        let failure = milliseconds > 1000 ? ProbeOutcome.Failure(.timeout, "no answer") : nil
        checks.counts.add(
          ProbeOutcome(failure: failure, duration: .milliseconds(milliseconds)), of: job)
      }
      checks.healths[job.target.backend] = .goingDown
    }
    checks.pools = board.decide(at: .zero)?.pools ?? [:]
    checks.plans = 2
    checks.packets = ["sent": 10, "too_big": 1]
    return checks
  }
}
