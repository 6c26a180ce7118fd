// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Dataplane
import Foundation
import LoadBalancing
import Testing

@testable import Control

/// Answers as functions of a snapshot and counters.
@Suite struct ReaderTests {
  private let installed = Sample.installed([
    Sample.backend(1), Sample.backend(2, isDraining: true), Sample.backend(3, isLeaving: true),
  ])
  private var snapshot: Snapshot {
    var snapshot = Sample.snapshot(installed)
    snapshot.draining.follow(installed, unwritten: 5, at: Sample.start)
    var found = FlowCensus()
    (found.entries, found.live) = (9, [2: 4])
    snapshot.flows.census = Census(at: Sample.after(90), found: found)
    let key = Self.key
    snapshot.forwarding.installed.services[key] = InstalledState.Service(
      number: 1, service: VirtualService(key: key, name: "www", pool: "web"), firstPair: 0, pairCount: 16)
    return snapshot
  }
  private static let key = VirtualService.Key(address: IPAddress("192.0.2.1")!, transport: .tcp, port: 80)
  private var counters: CounterReading {
    var counters = (0..<16).map { Counter(packets: UInt64($0), bytes: UInt64($0) * 100) }
    counters[0] = Counter()
    var reading = CounterReading()
    reading.forwarded = [
      ForwardedRun(service: Self.key, pool: "web", counters: counters)
    ]
    reading.flowEvents = FlowEvents(notWritten: 7)
    return reading
  }
  private let now = Sample.after(100)

  @Test func `rows of backends, by name`() throws {
    let rows = try snapshot.backends(counters, CheckReading(), at: now)
    #expect(rows.map(\.name) == ["b1", "b2", "b3"])
    #expect(rows.map(\.state) == ["ready", "drain", "leaving"])
    #expect(rows.map(\.share) == [1, 0, 0] && rows.map(\.packets) == [1, 2, 3])
    #expect(rows.map(\.flows) == [0, 4, 0] && rows.map(\.drained) == [false, false, true])
    #expect(rows[0].mac == "02:00:00:00:00:fe" && rows[0].via == "10.0.255.254" && rows[0].mtu == 1500)
    #expect(rows.map(\.health) == ["unchecked", "unchecked", "unchecked"])
    let one = try snapshot.backend("b2", in: "web", counters, CheckReading(), at: now)
    #expect(one == rows[1])
  }

  @Test func `an override is shown with who asked for it`() throws {
    var snapshot = snapshot
    snapshot.overrides.inForce = [
      BackendOverride(
        pool: "web", backend: "b2", state: .drain,
        provenance: Provenance(by: "root", at: 1_800_000_000, reason: "why"))
    ]
    let row = try snapshot.backend("b2", in: "web", counters, CheckReading(), at: now)
    #expect(
      row.override
        == BackendRow.Override(
          changes: ["state=drain"], by: "root", at: "2027-01-15T08:00:00Z", reason: "why"))
    #expect(snapshot.drift == ["web/b2: state=drain (by root: why)"])
  }

  @Test func `names that there are not are answered with what there is`() {
    for (body, message) in [
      (
        { try snapshot.backend("b9", in: "web", counters, CheckReading(), at: now) },
        "backend \"b9\" not found"
      ),
      (
        { try snapshot.backend("b1", in: "wbe", counters, CheckReading(), at: now) }, "pool \"wbe\" not found"
      ),
    ] as [(() throws -> BackendRow, String)] {
      let error = #expect(throws: ControlError.self) { try body() }
      #expect(error?.body.message.hasPrefix(message) ?? false)
    }
    #expect(throws: ControlError.self) { try snapshot.services(named: "ww", counters) }
    #expect(throws: ControlError.self) {
      try snapshot.checkRows(of: nil, in: "wbe", CheckReading(), at: now)
    }
  }

  @Test func `of two backends of a name the configured one is meant`() throws {
    var leaving = Sample.backend(9, isLeaving: true)
    leaving.name = "b1"
    let snapshot = Sample.snapshot(Sample.installed([Sample.backend(1), leaving]))
    #expect(try snapshot.installedBackend("b1", in: "web").number == 1)
    let gone = Sample.snapshot(Sample.installed([leaving]))
    #expect(try gone.installedBackend("b1", in: "web").number == 9)
  }

  @Test func `how far a drain is`() throws {
    let status = try snapshot.drainStatus(
      of: "b2", in: "web", quiet: nil, silent: nil, counters.flowEvents, at: now)
    #expect(status.state == "drain" && status.flows == 4 && !status.drained)
    #expect(status.unwritten == 2 && status.quietS == 60 && status.silentAfterS == 300)
    let left = try snapshot.drainStatus(
      of: "b3", in: "web", quiet: 30, silent: 1, counters.flowEvents, at: now)
    #expect(left.state == "leaving" && left.drained && left.quietS == 30)
  }

  @Test func `status and pools`() {
    let status = snapshot.status([], at: now)
    #expect(status.ready && status.uptimeS == 100 && status.services == 1 && status.flowsUsed == 9)
    #expect(status.interface.mode == "native" && status.interface.fullSpeed && status.interface.index == 7)
    #expect(status.configuration.generation == 1 && status.configuration.lastReloadOk)
    let pool = status.pools[0]
    #expect(pool.name == "web" && pool.slots == 12 && pool.ready == 1 && pool.backends == 2)
    var detached = snapshot
    _ = detached.uplinks.detached(by: Requester(identity: "root"))
    let interface = detached.status([], at: now).interface
    #expect(interface.mode == nil && interface.modeReason == "detached by root")
    #expect(!detached.status([], at: now).ready)
  }

  @Test func `tables of equal backends have equal digests, whatever their numbers`() {
    var other = Sample.backend(7)
    (other.name, other.address) = ("b1", Sample.address(1))
    let one = Sample.snapshot(Sample.installed([Sample.backend(1)])).pools()[0].tableDigest
    #expect(Sample.snapshot(Sample.installed([other])).pools()[0].tableDigest == one)
    #expect(Sample.snapshot(Sample.installed([Sample.backend(7)])).pools()[0].tableDigest != one)
  }

  @Test func `metrics count what the kernel counts since the first tick, and change nothing`() throws {
    var snapshot = snapshot
    snapshot.history.noteForwarded([], snapshot.forwarding.installed, at: Sample.start)
    let api = Metrics.APIFacts()
    func read(_ snapshot: Snapshot) throws -> StrictExposition {
      try StrictExposition(snapshot.metrics(counters, CheckReading(), api, nil, at: now).text)
    }
    let first = try read(snapshot)
    #expect(first.value("sluice_service_packets_total", ["service": "www"]) == 6)
    #expect(first.value("sluice_backend_packets_total", ["backend": "b2"]) == 2)
    #expect(first.value("sluice_pool_backends", ["pool": "web", "state": "leaving"]) == 1)
    #expect(try read(snapshot).value("sluice_service_packets_total", ["service": "www"]) == 6)
    snapshot.history.noteForwarded(counters.forwarded, snapshot.forwarding.installed, at: Sample.after(10))
    #expect(try read(snapshot).value("sluice_service_packets_total", ["service": "www"]) == 6)
  }

  @Test func `rows of services and backends do not fall when a service moves, or when the move ends`() throws
  {
    let backends = [Sample.backend(1), Sample.backend(4, pool: "other")]
    var snapshot = Sample.snapshot(Sample.installed(backends, pools: ["web", "other"]))
    func run(_ pool: String, _ pair: Int, _ packets: UInt64) -> ForwardedRun {
      var counters = [Counter](repeating: Counter(), count: 16)
      counters[pair].packets = packets
      return ForwardedRun(service: Self.key, pool: pool, counters: counters)
    }
    func install(_ pool: String, _ move: InstalledState.Service.Move?) {
      snapshot.forwarding.installed.services[Self.key] = InstalledState.Service(
        number: 1, service: VirtualService(key: Self.key, name: "www", pool: pool), firstPair: 0,
        pairCount: 16,
        move: move)
    }
    func read(_ runs: [ForwardedRun]) throws -> (service: UInt64, backends: [UInt64]) {
      var reading = CounterReading()
      reading.forwarded = runs
      let rows = (
        snapshot.services(reading)[0].packets,
        try snapshot.backends(reading, CheckReading(), at: now).map(\.packets)
      )
      snapshot.history.noteForwarded(runs, snapshot.forwarding.installed, at: now)
      return rows
    }
    install("web", nil)
    #expect(try read([run("web", 1, 100)]) == (100, [0, 100]))
    #expect(try read([run("web", 1, 110)]) == (110, [0, 110]))
    install("other", InstalledState.Service.Move(pool: "web", pairs: 16..<32, at: Tick(0)))
    #expect(try read([run("other", 4, 7), run("web", 1, 111)]) == (118, [7, 111]))
    install("other", nil)
    #expect(try read([run("other", 4, 9)]) == (120, [9, 111]))
  }

  @Test func `an examination fails where probes cannot leave, and names the layer`() throws {
    let check = HealthCheck(
      kind: .tcp, via: .tunnel, port: 80, interval: .seconds(1), timeout: .seconds(1), rise: 1, fall: 1,
      damping: Damping(hold: .zero))
    var snapshot = Sample.snapshot(Sample.installed([Sample.backend(1)]))
    snapshot.forwarding.desired.pools[0].health = HealthPolicy(check: check)
    snapshot.forwarding.desired.services = [VirtualService(key: Self.key, name: "www", pool: "web")]
    var checks = CheckReading()
    checks.board.configure(snapshot.forwarding.desired, at: now.uptime) { _, _ in true }
    func examine(_ target: String? = nil) throws -> Examination {
      try Examination(of: "b1", in: "web", target: target, snapshot, checks)
    }
    let ready = try examine()
    #expect(ready.probe != nil && ready.report.steps.map(\.step) == ["steering", "route", "encapsulation"])
    _ = snapshot.uplinks.observe(
      .success(NetworkView()), installed: snapshot.forwarding.installed, at: Sample.after(20))
    let stopped = try examine()
    #expect(stopped.probe == nil && stopped.report.layer == "local" && !stopped.report.passed)
    #expect(throws: ControlError.self) { try examine("192.0.2.77") }
    #expect(throws: ControlError.self) { try examine("nonsense") }
    #expect(throws: ControlError.self) {
      try Examination(of: "b1", in: "web", target: nil, snapshot, CheckReading())
    }
    let rows = checks.rows(at: now)
    #expect(rows.map(\.target) == ["192.0.2.1"] && rows.map(\.state) == ["up"])
  }

  /// Outer sources are what its packets differ by: without them, a lost one looks like a silent port.
  @Test func `a leaving backend is examined with the outer sources of its packets`() throws {
    var backend = Sample.backend(1, isLeaving: true)
    backend.encapsulation.source4 = IPPrefix("10.255.0.0/16")
    var snapshot = Sample.snapshot(Sample.installed([backend]))
    snapshot.forwarding.desired.pools[0].health = HealthPolicy(check: HealthCheck(kind: .tcp))
    snapshot.forwarding.desired.services = [VirtualService(key: Self.key, name: "www", pool: "web")]
    let remainder = snapshot.forwarding.installed.remainder(beside: snapshot.forwarding.desired)
    snapshot.health.remainder = remainder
    var checks = CheckReading()
    checks.board.configure(snapshot.forwarding.desired, beside: remainder, at: now.uptime) { _, _ in true }
    let examination = try Examination(of: "b1", in: "web", target: nil, snapshot, checks)
    #expect(examination.outerSources == IPPrefix("10.255.0.0/16"))
  }
}
