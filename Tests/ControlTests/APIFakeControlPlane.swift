// SPDX-License-Identifier: Apache-2.0
import ControlAPI

@testable import Control

/// A daemon that keeps a record and does nothing.
actor FakeControlPlane: ControlPlane {
  struct Change: Equatable {
    var verb: String
    var object = ""
    var dryRun = false
    var state: String?
    var weight: Int?
    var reason: String?
    var force = false
  }

  private(set) var generation = 1
  nonisolated let events = EventLog()
  private(set) var changes: [Change] = []
  private(set) var requesters: [Requester] = []
  private(set) var candidates: [String?] = []
  private var failure: (any Error)?
  private var isHolding = false
  /// Requests that wait for ``release()``.
  private var held = 0
  nonisolated let requests = RequestCounts()
  private var metricsText = "# TYPE sluice_build_info gauge\nsluice_build_info 1\n"

  func fail(with error: any Error) { failure = error }
  /// Answers no change, drain status or check until ``release()``.
  func hold() { isHolding = true }
  func release() { isHolding = false }

  /// Returns once so many requests wait.
  func holds(_ count: Int) async throws {
    while held < count { try await Task.sleep(for: .milliseconds(5)) }
  }

  private func waitForRelease() async throws {
    held += 1
    defer { held -= 1 }
    while isHolding { try await Task.sleep(for: .milliseconds(5)) }
  }

  func answerMetrics(with text: String) { metricsText = text }

  static let effect = ChangeEffect(
    changes: ["~ backend web/b1 state ready -> drain"],
    pools: [ChangeEffect.Pool(pool: "web", slotsMoved: 5, slotsTotal: 65537, ready: 0, required: 1)],
    flowsConcerned: 3, flowsLost: 1,
    uncounted: [
      ChangeEffect.Uncounted(
        backend: "web/b1", slots: 5, slotsTotal: 65537, packetsPerS: 1.5, share: 0.5, overS: 30)
    ], warnings: [])

  /// Checks the tag as the mailbox does, and takes some time.
  private func record(
    _ change: Change, by requester: Requester? = nil, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    let tag = "\(events.run)-\(generation)"
    if let expected = terms.expectedTag, expected != tag {
      throw ControlError.generationChanged(is: tag, expected: expected)
    }
    if let failure { throw failure }
    changes.append(change)
    if let requester { requesters.append(requester) }
    if !change.dryRun { generation += 1 }
    let reply = ChangeReply(generation: generation, dryRun: change.dryRun, effect: Self.effect)
    try await Task.sleep(for: .milliseconds(2))
    try await waitForRelease()
    return reply
  }

  // MARK: Reading

  static let status = Status(
    version: "0.1.0", node: "lb1", uptimeS: 12.5,
    configuration: Status.Configuration(
      file: "/etc/sluice/sluice.yaml", generation: 1, loadedAt: "2026-11-21T05:00:00Z", lastReloadOk: false,
      lastReloadAt: "2026-11-21T05:00:00Z", lastReloadError: "1 error", restartRequired: ["limits"],
      overrides: 1),
    interface: Status.Interface(
      name: "eth0", renamedTo: "eth9", index: 2, mac: "02:00:00:00:00:01", mtu: 1500, mode: "native",
      modeReason: "driver",
      fullSpeed: true),
    services: 1, pools: [pool],
    verdicts: [Status.Verdict(verdict: "forwarded", class: "forwarded", packets: 3, bytes: 180)],
    flowsUsed: 0, flowsCapacity: 65536,
    alarms: [
      Status.Alarm(
        code: "reload-failed", message: "1 error", object: "x", cure: "sluice config check",
        since: "2026-11-21T05:00:00Z")
    ])

  static let pool = PoolRow(
    name: "web", slots: 65537, changedSlots: 0, tableDigest: "00000000000000aa", ready: 1, required: 1,
    backends: 1)

  static let service = ServiceRow(
    name: "web", vip: "192.0.2.1", port: 443, protocol: "tcp", pool: "web", affinity: "changes", packets: 3,
    bytes: 180)

  static let backend = BackendRow(
    pool: "web", name: "b1", address: "10.0.0.1", weight: 100, state: "ready", health: "up", reason: "slow",
    share: 1,
    flows: 2, lastNewS: 1.5, drained: false, packets: 3, bytes: 180, via: "10.0.0.254",
    mac: "02:00:00:00:00:02", mtu: 1500, trouble: "none",
    override: BackendRow.Override(
      changes: ["state=drain"], by: "root (uid 0, pid 1)", at: "2026-11-21T05:00:00Z", reason: "why"))

  func status() throws -> Status {
    if let failure { throw failure }
    return Self.status
  }

  func services() -> [ServiceRow] { [Self.service] }

  func services(named name: String) throws -> [ServiceRow] {
    guard name == "web" else { throw ControlError.notFound("service", name, among: ["web"]) }
    return [Self.service]
  }

  func pools() -> [PoolRow] { [Self.pool] }
  func backends() -> [BackendRow] { [Self.backend] }

  func backends(of pool: String) throws -> [BackendRow] {
    guard pool == "web" else { throw ControlError.notFound("pool", pool, among: ["web"]) }
    return [Self.backend]
  }

  func backend(_ name: String, in pool: String) throws -> BackendRow {
    guard name == "b1" else { throw ControlError.notFound("backend", name, among: ["b1"]) }
    return Self.backend
  }

  static let check = CheckRow(
    pool: "web", backend: "b1", target: "192.0.2.10", port: 443, type: "https", via: "tunnel", state: "down",
    since: "2026-11-21T05:00:00Z", passed: 0, failed: 3, lastAt: "2026-11-21T05:00:01Z", lastMs: 1.5,
    layer: "port", reason: "connection refused", heldUntil: "2026-11-21T05:00:11Z")

  func checkRows(of backend: String?, in pool: String?) async throws -> [CheckRow] {
    [Self.check].filter { pool ?? $0.pool == $0.pool && backend ?? $0.backend == $0.backend }
  }

  func examine(_ name: String, in pool: String, target: String?) async throws -> CheckReport {
    if let failure { throw failure }
    try await waitForRelease()
    return CheckReport(
      pool: pool, backend: name, target: target ?? "192.0.2.10", port: 443, type: "https", via: "tunnel",
      passed: false, steps: [.init(result: "failed", step: "https", detail: "connection refused", ms: 1)],
      layer: "port", conclusion: "connection refused", cure: "ss -lnt")
  }

  func drainStatus(of name: String, in pool: String, quiet: Int?, silent: Int?) async throws -> DrainStatus {
    try await waitForRelease()
    return DrainStatus(
      pool: pool, backend: name, state: "drain", flows: 2, activeFlows: 1,
      silentAfterS: Double(silent ?? 300), lastNewS: 1.5, quietS: Double(quiet ?? 60),
      drained: false)
  }

  func metrics() -> String { metricsText }
  func effectiveConfiguration() -> String { "version: 1\n" }

  // MARK: Changing

  func add(
    _ name: String, to pool: String, _ addition: BackendAddition, by requester: Requester,
    _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await record(
      Change(
        verb: "add", object: "\(pool)/\(name) \(addition.address)", dryRun: terms.dryRun,
        state: addition.state,
        weight: addition.weight, reason: addition.reason), by: requester, terms)
  }

  func change(
    _ name: String, in pool: String, _ change: BackendChange, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await record(
      Change(
        verb: "change", object: "\(pool)/\(name)", dryRun: terms.dryRun, state: change.state,
        weight: change.weight, reason: change.reason, force: terms.force), by: requester, terms)
  }

  func remove(
    _ name: String, from pool: String, reason: String?, by requester: Requester, _ terms: ChangeTerms
  ) async throws -> ChangeReply {
    try await record(
      Change(
        verb: "remove", object: "\(pool)/\(name)", dryRun: terms.dryRun, reason: reason, force: terms.force),
      by: requester, terms)
  }

  static let diagnostic = ConfigurationDiagnostic(
    file: "candidate", line: 3, column: 5, endColumn: 9, severity: "error", code: "unknown-key",
    path: "pools.web.wieght", message: "unknown key", expected: ["weight"], suggestion: "weight",
    rendered: "candidate:3:5: error: unknown key")

  func checkConfiguration(_ candidate: String?) throws -> ConfigurationCheck {
    candidates.append(candidate)
    if candidate == "bad" {
      var error = ControlError(.unprocessableContent, "configuration-invalid", "1 error")
      error.body.diagnostics = [Self.diagnostic]
      throw error
    }
    return ConfigurationCheck(services: 1, pools: 1, warnings: [Self.diagnostic])
  }

  func diffConfiguration(_ candidate: String?) -> ConfigurationDiff {
    candidates.append(candidate)
    return ConfigurationDiff(reload: Self.effect, drift: ["web/b1: state=drain"], restartRequired: ["limits"])
  }

  func reloadConfiguration(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await record(Change(verb: "reload", dryRun: terms.dryRun, force: terms.force), terms)
  }

  func detachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await record(Change(verb: "detach", dryRun: terms.dryRun), terms)
  }

  func attachForwarder(by requester: Requester, _ terms: ChangeTerms) async throws -> ChangeReply {
    try await record(Change(verb: "attach", dryRun: terms.dryRun), terms)
  }
}
