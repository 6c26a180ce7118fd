// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation

enum Samples {
  static let now = try! Date("2026-11-21T12:00:00Z", strategy: .iso8601)

  static let pool = PoolRow(
    name: "web", slots: 65537, changedSlots: 8062, tableDigest: "f148ce5bbda53e11", ready: 2, required: 1,
    backends: 3)

  static let status = Status(
    version: "0.1.0", node: "lb1", uptimeS: 11_530,
    configuration: Status.Configuration(
      file: "/etc/sluice/sluice.yaml", generation: 4, loadedAt: "2026-11-21T11:54:45Z", lastReloadOk: true,
      lastReloadAt: "2026-11-21T11:54:45Z", lastReloadError: nil, restartRequired: [], overrides: 0),
    interface: Status.Interface(
      name: "eth0", index: 2, mac: "02:00:00:00:00:01", mtu: 1600, mode: "native",
      modeReason: "auto: the driver runs XDP programs", fullSpeed: true),
    services: 3, pools: [pool],
    verdicts: [
      Status.Verdict(verdict: "forwarded", class: "forwarded", packets: 1000, bytes: 64000),
      Status.Verdict(verdict: "passed_not_ours", class: "passed", packets: 7, bytes: 700),
      Status.Verdict(verdict: "passed_not_ip", class: "passed", packets: 3, bytes: 300),
      Status.Verdict(verdict: "answered_echo", class: "answered", packets: 2, bytes: 200),
      Status.Verdict(verdict: "dropped_fragment", class: "dropped", packets: 5, bytes: 500),
      Status.Verdict(verdict: "dropped_malformed", class: "dropped", packets: 0, bytes: 0),
      Status.Verdict(verdict: "dropped_no_backend", class: "dropped", packets: 40, bytes: 4000),
    ], flowsUsed: 512, flowsCapacity: 65536, alarms: [])

  static let backends = [
    BackendRow(
      pool: "web", name: "web1", address: "10.0.0.11", weight: 100, state: "ready", health: "unchecked",
      share: 0.5, flows: 0, lastNewS: nil, drained: false, packets: 123_456, bytes: 1, via: "10.0.2.1",
      mac: "02:00:00:00:00:02", mtu: 1600,
      trouble: nil, override: nil),
    BackendRow(
      pool: "web", name: "web2", address: "10.0.0.12", weight: 5, state: "drain", health: "unchecked",
      share: 0, flows: 12, lastNewS: 75, drained: false, packets: 7, bytes: 1, via: nil, mac: nil, mtu: nil,
      trouble: "no route to 10.0.0.12",
      override: BackendRow.Override(
        changes: ["state=drain", "weight=5"], by: "uid 0, pid 9", at: "2026-11-21T11:00:00Z",
        reason: "kernel\n\u{1B}[31mupdate")),
  ]

  static func reply(dryRun: Bool) -> ChangeReply {
    ChangeReply(
      generation: 5, dryRun: dryRun,
      effect: ChangeEffect(
        changes: ["~ backend web/web2 state ready -> drain"],
        pools: [ChangeEffect.Pool(pool: "web", slotsMoved: 8062, slotsTotal: 65537, ready: 2, required: 0)],
        warnings: ["no backend is left"]))
  }

  static func json(_ value: some Encodable) -> String {
    String(decoding: (try? ControlJSON.encode(value)) ?? [], as: UTF8.self)
  }
}
