// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import Testing

@testable import Control
@testable import LoadBalancing

/// Which alarms a state has.
@Suite struct AlarmTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var code: Alarm.Code
    var object: String
    /// Puts a snapshot without alarms into the state that has it.
    var cause: @Sendable (inout Snapshot) -> Void

    var testDescription: String { code.rawValue }
  }

  static let cases: [Case] = [
    Case(code: .noNextHop, object: "web/b1") { snapshot in
      var view = Sample.view(reaching: snapshot.forwarding.installed)
      view.paths[Sample.address(1)] = Sample.path(mac: nil)
      observe(view, &snapshot)
    },
    Case(code: .noNextHop, object: "web/b1") { snapshot in
      let number = snapshot.forwarding.installed.backends.first { $1.name == "b1" }!.key
      snapshot.forwarding.installed.backends[number]!.encapsulation = Encapsulation(kind: .l2)
      snapshot.forwarding.desired.pools[0].encapsulation = Encapsulation(kind: .l2)
    },
    Case(code: .advertisedRoute, object: "eth0") { snapshot in
      var view = Sample.view(reaching: snapshot.forwarding.installed)
      view.paths[Sample.address(1)]?.isAdvertised = true
      observe(view, &snapshot)
    },
    Case(code: .lowMTU, object: "web") { snapshot in
      let key = VirtualService.Key(address: IPAddress("192.0.2.1")!, transport: .tcp, port: 80)
      snapshot.forwarding.installed.services[key] = InstalledState.Service(
        number: 1, service: VirtualService(key: key, name: "www", pool: "web"), firstPair: 0, pairCount: 16)
      var view = Sample.view(reaching: snapshot.forwarding.installed)
      view.paths[Sample.address(1)] = Sample.path(mtu: 571)
      observe(view, &snapshot)
    },
    Case(code: .interfaceDown, object: "eth0") { snapshot in
      observe(
        Sample.view(
          reaching: snapshot.forwarding.installed, link: Sample.link(isRunning: false, programs: [42])),
        &snapshot)
    },
    Case(code: .poolEmpty, object: "web") { snapshot in
      let slots = snapshot.forwarding.installed.pools["web"]!.slots.map { _ in Slot(current: 0) }
      snapshot.forwarding.installed.pools["web"]!.slots = slots
    },
    Case(code: .poolInsufficient, object: "web") {
      $0.health.decision.pools["web"] = PoolHealth(
        isSufficient: false, healthy: 0, required: 1, policy: nil, heldByGuard: [])
    },
    Case(code: .checksNotStarted, object: "checks") {
      $0.configuration.inForce.desired.pools[0].health = HealthPolicy(check: HealthCheck(kind: .tcp))
      $0.health.trouble = "epoll: EMFILE"
    },
    Case(code: .healthGuard, object: "web") {
      $0.health.decision.pools["web"] = PoolHealth(
        isSufficient: true, healthy: 1, required: 1, policy: nil, heldByGuard: ["b2"])
    },
    Case(code: .flowTableFull, object: "flow table") { snapshot in
      var found = FlowCensus()
      found.entries = snapshot.configuration.node.limits.flows * 4 / 5 + 1
      snapshot.flows.census = Census(at: Sample.start, found: found)
    },
    Case(code: .flowsNotWritten, object: "flow table") { snapshot in
      snapshot.flows.unwritten.note(.init(), at: Sample.start)
      snapshot.flows.unwritten.note(.init(overBudget: 30), at: Sample.after(10))
    },
    Case(code: .overrides, object: "/var/lib/sluice") { $0.overrides.unsaved = "No space left on device" },
    Case(code: .overridesSetAside, object: "/f.set-aside-1") {
      $0.overrides.setAside = ["/f.set-aside-1", "/f.set-aside-2"]
    },
    Case(code: .notListening, object: "192.0.2.9:9100") {
      $0.configuration.inForce.node.statusListen = "192.0.2.9:9100"
      $0.configuration.listenerTrouble = "address already in use"
    },
    Case(code: .notApplied, object: "") { $0.forwarding.applyTrouble = "no plan" },
    Case(code: .pinsRemoved, object: "/sys/fs/bpf/sluice") {
      _ = $0.integrity.record(removedPinsIn: "/sys/fs/bpf/sluice", failure: nil, at: Sample.start)
    },
    Case(code: .mapsDamaged, object: "/sys/fs/bpf/sluice") {
      _ = $0.integrity.record(damage: ["backend 1 was rewritten"], at: Sample.start)
    },
    Case(code: .reloadFailed, object: "/etc/sluice/sluice.yaml") {
      $0.configuration.lastReload = ReloadOutcome(at: Sample.start, failure: "1 error")
    },
    Case(code: .detached, object: "eth0") { _ = $0.uplinks.detached(by: Requester(identity: "root")) },
    Case(code: .notAttached, object: "eth0") {
      _ = $0.uplinks.attached(.failure(.unknownBackend(1)), by: nil)
    },
    Case(code: .interfaceMissing, object: "eth0") { snapshot in
      observe(Sample.view(reaching: snapshot.forwarding.installed, link: nil), &snapshot)
    },
    Case(code: .interfaceRenamed, object: "eth0") { snapshot in
      observe(
        Sample.view(
          reaching: snapshot.forwarding.installed, link: Sample.link(name: "wan0", programs: [42])),
        &snapshot)
    },
    Case(code: .notEthernet, object: "eth0") { snapshot in
      observe(
        Sample.view(reaching: snapshot.forwarding.installed, link: Sample.link(mac: nil, programs: [42])),
        &snapshot)
    },
  ]

  private static func observe(_ view: NetworkView, _ snapshot: inout Snapshot) {
    _ = snapshot.uplinks.observe(
      .success(view), installed: snapshot.forwarding.installed, at: Sample.after(20))
  }

  @Test func `a daemon that forwards has none`() {
    #expect(Alarms.found(in: Sample.snapshot(), board: nil, at: Sample.start) == [])
  }

  @Test(arguments: cases)
  func cause(_ test: Case) throws {
    var snapshot = Sample.snapshot()
    test.cause(&snapshot)
    let found = Alarms.found(in: snapshot, board: nil, at: Sample.start)
    #expect(found.map(\.code) == [test.code])
    let alarm = try #require(found.first)
    #expect(alarm.object == test.object && alarm.objects == [test.object] && alarm.since == nil)
    #expect(!alarm.message.isEmpty && !alarm.cure.isEmpty)
    // Raised once, kept as long as it is found, cleared once.
    var alarms = Alarms()
    #expect(alarms.update(with: found, at: Sample.start).count == 1)
    #expect(alarms.update(with: found, at: Sample.after(10)).isEmpty)
    #expect(alarms.current.map(\.since) == [Sample.start])
    #expect(alarms.update(with: [], at: Sample.after(20)).map(\.event?.new) == ["cleared"])
    #expect(alarms == Alarms())
  }

  @Test func `damage and removed pins are reported for an hour`() {
    var snapshot = Sample.snapshot()
    _ = snapshot.integrity.record(damage: ["x"], at: Sample.start)
    _ = snapshot.integrity.record(removedPinsIn: "/p", failure: "EROFS", at: Sample.start)
    #expect(Alarms.found(in: snapshot, board: nil, at: Sample.after(3599)).count == 2)
    #expect(Alarms.found(in: snapshot, board: nil, at: Sample.after(3600)).isEmpty)
  }

  @Test func `a pool that awaits its first verdicts is not empty`() {
    var snapshot = Sample.snapshot(Sample.installed([]))
    #expect(Alarms.found(in: snapshot, board: nil, at: Sample.start).map(\.code) == [.poolEmpty])
    snapshot.health.decision.awaited = ["web"]
    #expect(Alarms.found(in: snapshot, board: nil, at: Sample.start).isEmpty)
  }

  @Test func `many of one code are raised and cleared as one`() {
    let many = (1...300).map { Alarm(.noNextHop, "web/b\($0)", "web/b\($0): no route", cure: "ip route") }
    var alarms = Alarms()
    let raised = alarms.update(with: many, at: Sample.start)
    #expect(raised.count == 1 && raised[0].event?.objects?.count == 300)
    #expect(alarms.current.count == 1)
    let cleared = alarms.update(with: Array(many.prefix(1)), at: Sample.after(1))
    #expect(cleared.count == 1 && cleared[0].event?.objects?.count == 299)
    #expect(alarms.current.map(\.object) == ["web/b1"])
  }

  @Test func `reading changes nothing`() {
    var snapshot = Sample.snapshot()
    snapshot.forwarding.applyTrouble = "x"
    _ = snapshot.alarms.update(
      with: Alarms.found(in: snapshot, board: nil, at: Sample.start), at: Sample.start)
    let before = snapshot.alarms
    #expect(snapshot.status([], at: Sample.after(5)).alarms.map(\.code) == ["not-applied"])
    #expect(snapshot.alarms == before)
  }

  @Test func `every code is in the documentation's table`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/alarms.md"), encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.compactMap { row in
      row.split(separator: "`").dropFirst().first.map(String.init)
    }
    #expect(rows == Alarm.Code.allCases.map(\.rawValue).sorted())
  }
}
