// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Testing

@testable import sluice

@Suite struct RenderingTests {
  @Test func `a healthy status`() {
    #expect(
      Rendering.status(Samples.status, now: Samples.now) == """
        node         lb1, sluiced 0.1.0, up 3h12m
        interface    eth0: native XDP (auto: the driver runs XDP programs), full speed, MTU 1600, 02:00:00:00:00:01
        config       /etc/sluice/sluice.yaml, generation 4
        last reload  ok, 5m15s ago
        services     3
        packets      1000 forwarded, 10 passed, 2 answered, 45 dropped
        flow table   512 of 65536 flows (0.8 %)

        POOL  READY  SLOTS  CHANGED  DIGEST
        web     2/3  65537     8062  f148ce5bbda53e11

        DROPPED             PACKETS
        dropped_no_backend       40
        dropped_fragment          5

        ANSWERED       PACKETS
        answered_echo        2

        PASSED           PACKETS
        passed_not_ours        7
        passed_not_ip          3
        """)
  }

  @Test func `generic mode is never full speed`() {
    var status = Samples.status
    for isFullSpeed in [true, false] {
      status.interface.mode = "generic"
      status.interface.fullSpeed = isFullSpeed
      let screen = Rendering.status(status, now: Samples.now)
      #expect(screen.contains("SLOW: generic mode") && !screen.contains("full speed"), "\(screen)")
    }
  }

  @Test func `many of one alarm are one line`() {
    var status = Samples.status
    status.alarms = [
      Status.Alarm(
        code: "no-next-hop", message: "300 alarms: web/b1: no route; and 299 more", object: "web/b1",
        objects: (1...300).map { "web/b\($0)" }, cure: "ip route", since: "2026-11-21T11:59:00Z")
    ]
    #expect(
      Rendering.status(status, now: Samples.now).hasSuffix(
        """
        ALARM no-next-hop, web/b1 and 299 more, since 1m0s ago: 300 alarms: web/b1: no route; and 299 more
          cure: ip route
        """))
  }

  @Test func `a status with every trouble`() {
    var status = Samples.status
    status.interface.mode = nil
    status.interface.modeReason = "no such interface"
    status.configuration.lastReloadOk = false
    status.configuration.lastReloadError = "1 error"
    status.configuration.overrides = 1
    status.configuration.restartRequired = ["limits.flows", "paths.pins"]
    status.pools = []
    status.verdicts = []
    status.flowsUsed = 0
    status.flowsCapacity = 0
    status.alarms = [
      Status.Alarm(
        code: "next-hop-unknown", message: "no answer", object: "10.0.0.11", cure: "ip neigh show",
        since: "2026-11-21T11:59:00Z")
    ]
    #expect(
      Rendering.status(status, now: Samples.now) == """
        node         lb1, sluiced 0.1.0, up 3h12m
        interface    eth0: not attached, nothing is forwarded: no such interface
        config       /etc/sluice/sluice.yaml, generation 4
        last reload  FAILED (1 error), 5m15s ago
        drift        1 runtime change in force; see: sluice config diff
        restart      required for limits.flows, paths.pins
        services     3
        packets      0 forwarded, 0 passed, 0 answered, 0 dropped
        flow table   0 of 0 flows (0.0 %)

        ALARM next-hop-unknown, 10.0.0.11, since 1m0s ago: no answer
          cure: ip neigh show
        """)
  }

  @Test func `missing CAP_PERFMON is told`() {
    var status = Samples.status
    status.interface.fullSpeed = false
    #expect(
      Rendering.status(status, now: Samples.now).contains(
        "SLOW: speculation barriers, for lack of CAP_PERFMON"))
  }

  @Test func `overrides are marked, and a note tells by whom and why`() {
    #expect(
      Rendering.backends(Samples.backends, headers: true) == #"""
        BACKEND   ADDRESS    WEIGHT  STATE   HEALTH      SHARE  FLOWS   LAST NEW  PACKETS  NEXT HOP
        web/web1  10.0.0.11     100  ready   unchecked  50.0 %      0          -   123456  via 10.0.2.1 02:00:00:00:00:02
        web/web2  10.0.0.12       5  drain*  unchecked   0.0 %     12  1m15s ago        7  TROUBLE: no route to 10.0.0.12
        * web/web2: state=drain, weight=5, by uid 0, pid 9 at 2026-11-21T11:00:00Z: kernel\u{A}\u{1B}[31mupdate
        """#)
  }

  @Test func `services without port take any`() {
    let row = ServiceRow(
      name: "dns", vip: "192.0.2.1", port: nil, protocol: "udp", pool: "dns", affinity: "none", packets: 1,
      bytes: 2)
    #expect(Rendering.services([row], headers: false) == "dns  192.0.2.1  any  udp  dns  none  1  2")
  }

  @Test func `changes show what moves`() {
    let effect = """
      ~ backend web/web2 state ready -> drain
      pool web: 12.3 % of slots move (8062 of 65537)
      warning: no backend is left

      """
    #expect(Rendering.effect(Samples.reply(dryRun: false)) == effect + "in force: generation 5")
    #expect(Rendering.effect(Samples.reply(dryRun: true)) == effect + "dry run: nothing was changed")
  }

  @Test func `a change tells whom it concerns`() {
    let pool = ChangeEffect.Pool(
      pool: "web", slotsMoved: 1, slotsTotal: 4, ready: 1, required: 2, emptied: ["web2"], filled: ["web3"])
    let effect = ChangeEffect(
      changes: [], services: (1...10).map { "s\($0)" }, pools: [pool], flowsConcerned: 7, flowsLost: 3,
      warnings: [])
    #expect(
      Rendering.effect(effect).joined(separator: "\n") == """
        pool web: 25.0 % of slots move (1 of 4); 1 ready, 2 required
        backend web/web2 loses all of its slots
        backend web/web3 gets its first slots
        services touched: s1, s2, s3, s4, s5, s6, s7, s8 and 2 more
        tracked flows concerned: up to 7, 3 of them break
        """)
  }

  @Test func `flows that nobody can count are estimated by packets`() {
    var flows = ChangeEffect.Uncounted(backend: "web/b1", slots: 1, slotsTotal: 3)
    func told() -> [String] {
      Rendering.effect(ChangeEffect(changes: [], pools: [], uncounted: [flows], warnings: []))
    }
    let head = "backend web/b1: flows of 33.3 % of slots are not counted, and break; "
    #expect(told() == [head + "how many packets it gets is not known yet"])
    (flows.packetsPerS, flows.share, flows.overS) = (1234.4, 0.25, 42)
    #expect(told() == [head + "it got about 1234 packets/s over the last 42s, 25.0 % of its pool's"])
    flows.packetsPerS = 0.26
    #expect(told() == [head + "it got about 0.3 packets/s over the last 42s, 25.0 % of its pool's"])
  }

  @Test func `a reload names what waits for a restart`() {
    let reply = ChangeReply(
      generation: 5, dryRun: false,
      effect: ChangeEffect(changes: ["~ limits.flows 1 -> 2 (after a restart)"], pools: [], warnings: []),
      restartRequired: ["limits.flows", "paths.state"])
    #expect(
      Rendering.effect(reply) == """
        ~ limits.flows 1 -> 2 (after a restart)
        restart required for: limits.flows, paths.state; forwarding goes on during a restart of sluiced
        in force: generation 5
        """)
  }

  @Test func `an empty change says so`() {
    let reply = ChangeReply(
      generation: 5, dryRun: false, effect: ChangeEffect(changes: [], pools: [], warnings: []))
    #expect(Rendering.effect(reply) == "nothing changes\nin force: generation 5")
  }

  @Test func `a diff shows reload, drift and restart`() {
    var diff = ConfigurationDiff(
      reload: Samples.reply(dryRun: true).effect, drift: ["web/web2: weight=5"], restartRequired: ["limits"])
    #expect(
      Rendering.diff(diff) == """
        a reload would:
          ~ backend web/web2 state ready -> drain
          pool web: 12.3 % of slots move (8062 of 65537)
          warning: no backend is left
        runtime changes in force:
          web/web2: weight=5
        restart required for: limits; forwarding goes on during a restart of sluiced
        """)
    diff = ConfigurationDiff(
      reload: ChangeEffect(changes: [], pools: [], warnings: []), drift: [], restartRequired: [])
    #expect(Rendering.diff(diff) == "a reload would change nothing")
  }
}

@Suite struct CheckRenderingTests {
  private let down = CheckRow(
    pool: "web", backend: "web2", target: "fd00::10", port: 443, type: "https", via: "tunnel", state: "down",
    since: "2026-11-21T11:50:00Z", passed: 0, failed: 3, lastAt: "2026-11-21T12:00:00Z", lastMs: 1.5,
    layer: "port",
    reason: "connection refused", heldUntil: "2026-11-21T12:05:00Z")

  @Test func `checks, each with its latest probe`() {
    let up = CheckRow(
      pool: "web", backend: "web1", target: "192.0.2.10", port: nil, type: "icmp", via: "direct", state: "up",
      since: "2026-11-21T11:50:00Z", passed: 12, failed: 0)
    #expect(
      Rendering.checks([up, down], headers: true) == """
        BACKEND   TARGET          CHECK  VIA     STATE  STREAK  LAST                    TOOK  REASON
        web/web1  192.0.2.10      icmp   direct  up        +12  never                      -
        web/web2  [fd00::10]:443  https  tunnel  down       -3  2026-11-21T12:00:00Z  1.5 ms  port: connection refused; held down until 2026-11-21T12:05:00Z
        """)
  }

  @Test func `a probe that fails names the layer and the cure`() {
    let report = CheckReport(
      pool: "web", backend: "web2", target: "192.0.2.10", port: 80, type: "tcp", via: "tunnel", passed: false,
      steps: [
        .init(result: "ok", step: "route", detail: "10.0.0.12 via 10.0.0.1"),
        .init(result: "failed", step: "tcp", detail: "no answer within 1 s", ms: 1000.4),
      ], layer: "vip", conclusion: "192.0.2.10 is no address of the backend",
      cure: "ip address add 192.0.2.10/32 dev lo")
    #expect(
      Rendering.check(report) == """
        web/web2: tcp to 192.0.2.10:80 through the tunnel
        ok              route  10.0.0.12 via 10.0.0.1
        failed  1000.4  tcp    no answer within 1 s
        FAILED at layer vip: 192.0.2.10 is no address of the backend
        look at: ip address add 192.0.2.10/32 dev lo
        """)
  }

  @Test func `a probe that passes`() {
    let report = CheckReport(
      pool: "web", backend: "web1", target: "192.0.2.10", port: nil, type: "icmp", via: "direct",
      passed: true,
      steps: [.init(result: "ok", step: "icmp", detail: "passed", ms: 0.2)],
      conclusion: "the backend answers as clients need it")
    #expect(
      Rendering.check(report) == """
        web/web1: icmp to 192.0.2.10 directly
        ok  0.2  icmp  passed
        passed: the backend answers as clients need it
        """)
  }
}
