// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Dataplane
import Foundation
import HTTPTypes
import LoadBalancing

@testable import Control

/// States of a daemon for metrics to tell.
enum MetricsSamples {
  /// Of a daemon that has done nothing yet, and forwards nothing.
  static let empty = Scrape(
    status: Status(
      version: "0.1.0", node: "lb1", uptimeS: 0,
      configuration: Status.Configuration(
        file: "f", generation: 1, loadedAt: "", lastReloadOk: true, lastReloadAt: "", lastReloadError: nil,
        restartRequired: [], overrides: 0),
      interface: Status.Interface(
        name: "eth0", index: nil, mac: nil, mtu: nil, mode: nil, modeReason: nil, fullSpeed: false),
      services: 0, pools: [], verdicts: [], flowsUsed: 0, flowsCapacity: 0, alarms: []),
    configurationLoadedAt: Date(timeIntervalSince1970: 1_795_000_000.5))

  /// Names as nobody should choose them: they must come back from the text as they went in. One of them has a quote
  /// and one a line's end that are no characters of their own, but the beginning or the end of one.
  static let names = [
    "we\"b", "back\\slash", "two\nlines", "carriage\r\nreturn", "quote\"\u{301}", "b\u{f6}\u{1f642}", "\\n",
    "",
    "} 1\nsluice_alarms{code=\"x\"} 7",
  ]

  /// With a sample of every family, and a pool, a backend and a service of every name.
  static func full() throws -> Scrape {
    var scrape = empty
    scrape.status = FakeControlPlane.status
    scrape.status.pools = names.map { name in
      PoolRow(
        name: name, slots: 65537, changedSlots: 3, tableDigest: "00", ready: 1, required: 1, backends: 2)
    }
    let desired = Self.desired
    scrape.tally = try tally(desired)
    let now = Date(timeIntervalSince1970: 1_795_000_100)
    scrape.services = names.map { name in
      var row = FakeControlPlane.service
      (row.name, row.pool) = (name, name)
      return Scrape.Service(row: row, forwarded: Counter(packets: 5, bytes: 1 << 52))
    }
    scrape.backends = names.flatMap { pool in
      [("b1", "ready", "down"), (pool, "drain", "up")].map { name, state, health in
        var row = FakeControlPlane.backend
        (row.pool, row.name, row.state, row.health) = (pool, name, state, health)
        var changes = Changes(since: now)
        changes.add(at: now)
        return Scrape.Backend(row: row, forwarded: Counter(packets: 7, bytes: 420), changes: changes)
      }
    }
    scrape.overrides = [
      BackendOverride(
        pool: "web", backend: "b1", state: .drain, weight: 5, provenance: Provenance(by: "root", at: 0)),
      BackendOverride(
        pool: "web", backend: "b2", presence: .removed, provenance: Provenance(by: "root", at: 0)),
    ]
    scrape.checks = checks(desired)
    let requests = RequestCounts()
    requests.note(route: nil, method: .get, status: .notFound, duration: .microseconds(70))
    requests.note(route: nil, method: .get, status: .notFound, duration: .seconds(70))
    scrape.requests = requests.counts
    scrape.events = ["health": 3]
    scrape.followers = 1
    scrape.process = ProcessUsage.now()
    return scrape
  }

  static var desired: DesiredState {
    let check = HealthCheck(
      kind: .tcp, way: .direct, port: 80, interval: .seconds(1), timeout: .seconds(1), rise: 1, fall: 1,
      damping: Damping(hold: .zero))
    return DesiredState(
      pools: names.map { name in
        let backends = ["b1", name].enumerated().map {
          Backend(name: $1, address: IPAddress("10.0.0.\($0 + 1)")!)
        }
        return Pool(name: name, backends: backends, tableSize: 251, health: HealthPolicy(check: check))
      })
  }

  private static func tally(_ desired: DesiredState) throws -> Tally {
    var tally = Tally()
    let plan = try Planner.plan(
      from: InstalledState(), to: desired, limits: NodeSettings.Limits(), now: Tick(0))
    tally.note(Reconciler.Proposal(plan: plan, desired: desired))
    tally.note(Reconciler.ReloadOutcome(failure: "connections would break"))
    return tally
  }

  private static func checks(_ desired: DesiredState) -> Scrape.Checks {
    var board = HealthBoard()
    board.configure(desired, at: .zero) { _, _ in true }
    var checks = Scrape.Checks()
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
