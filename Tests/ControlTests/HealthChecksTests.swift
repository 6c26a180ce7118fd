// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Probing
import Synchronization
import Testing

@testable import Control

/// Checks of real listeners on loopback, directly.
@Suite struct HealthChecksTests {
  private static func listener() -> (descriptor: CInt, port: UInt16) {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        precondition(bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0)
      }
    }
    precondition(listen(descriptor, 4096) == 0)
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  private static func desired(port: UInt16, interval: Duration = .milliseconds(100)) -> DesiredState {
    let check = HealthCheck(
      kind: .tcp, via: .direct, port: port, interval: interval, timeout: .seconds(2), rise: 2, fall: 2,
      damping: Damping(hold: .zero))
    let backend = Backend(name: "b1", address: IPAddress("127.0.0.1")!)
    return DesiredState(
      pools: [
        Pool(
          name: "web", backends: [backend], health: HealthPolicy(check: check, guard: HealthGuard(share: 100))
        )
      ])
  }

  private static let key = BackendKey(pool: "web", backend: "b1")

  /// Waits for a verdict, however busy the machine is.
  private func until(_ checks: HealthChecks, _ isInUse: Bool) async throws {
    for _ in 0..<1000 where checks.decision.isInUse[Self.key] != isInUse {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(checks.decision.isInUse[Self.key] == isInUse)
  }

  @Test func `a backend goes up, down and up with its listener, and each change is told`() async throws {
    let transitions = Mutex<[String]>([])
    let prober = try Prober(steering: nil, echo: nil, maxInFlight: 64)
    let checks = HealthChecks(prober: prober) { change in
      transitions.withLock { $0.append("\(change.from.rawValue)>\(change.to.rawValue)") }
    }
    let (descriptor, port) = Self.listener()
    let first = checks.check(Self.desired(port: port)) { _, _ in nil }
    #expect(first.isInUse == [Self.key: false], "a backend that nobody has seen begins as down")
    try await until(checks, true)
    close(descriptor)
    try await until(checks, false)
    #expect(checks.reading.healths[Self.key]?.reason == "connection refused")
    #expect(checks.reading.rows(at: .now).first?.layer == "port")
    checks.stop()
    #expect(
      transitions.withLock { $0 } == ["down>going_up", "going_up>up", "up>going_down", "going_down>down"])
  }

  @Test func `a backend that was in use stays so until its probes fail`() async throws {
    let prober = try Prober(steering: nil, echo: nil, maxInFlight: 64)
    let checks = HealthChecks(prober: prober) { _ in }
    let (descriptor, port) = Self.listener()
    close(descriptor)
    let first = checks.check(Self.desired(port: port)) { _, _ in true }
    #expect(first.isInUse == [Self.key: true])
    try await until(checks, false)
    checks.stop()
  }

  @Test func `a check that is gone is probed no more, one that changed is probed by the new terms at once`()
    async throws
  {
    let checks = HealthChecks(prober: try Prober(steering: nil, echo: nil, maxInFlight: 64)) { _ in }
    let (descriptor, port) = Self.listener()
    defer { close(descriptor) }
    _ = checks.check(Self.desired(port: port, interval: .seconds(3600))) { _, _ in true }
    #expect(count(checks) == 0, "its first probe is somewhere within the hour")
    _ = checks.check(Self.desired(port: port)) { _, _ in true }
    for _ in 0..<1000 where count(checks) < 5 { try await Task.sleep(for: .milliseconds(10)) }
    #expect(count(checks) >= 5)
    _ = checks.check(DesiredState()) { _, _ in true }
    try await Task.sleep(for: .milliseconds(50))
    let after = count(checks)
    try await Task.sleep(for: .milliseconds(500))
    #expect(count(checks) == after)
    checks.stop()
  }

  @Test func `tunnelled probes wait where they cannot leave, and say nothing of health`() async throws {
    let checks = HealthChecks(prober: try Prober(steering: nil, echo: nil, maxInFlight: 64)) { _ in }
    var desired = Self.desired(port: 80)
    desired.pools[0].health.check?.via = .tunnel
    let vip = VirtualService.Key(address: IPAddress("192.0.2.1")!, transport: .tcp, port: 80)
    desired.services = [VirtualService(key: vip, name: "web", pool: "web")]
    _ = checks.check(desired) { _, _ in true }
    try await Task.sleep(for: .milliseconds(400))
    #expect(count(checks) == 0)
    #expect(checks.decision.isInUse[Self.key] == true)
    var path = HealthChecks.ProbePath(
      number: 1, innerMTU: 1480, trouble: ProbeOutcome.Failure(.local, "no route to the gateway"))
    checks.set(paths: [Self.key: path], interfaceIndex: 1, trouble: nil)
    for _ in 0..<500 where count(checks) < 5 { try await Task.sleep(for: .milliseconds(10)) }
    #expect(checks.reading.healths[Self.key]?.state.isHealthy == true)
    #expect(checks.reading.healths[Self.key]?.reason == "no route to the gateway")
    checks.set(paths: [Self.key: path], interfaceIndex: 1, trouble: "the interface is down")
    for _ in 0..<500 where checks.reading.healths[Self.key]?.reason != "the interface is down" {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(checks.reading.healths[Self.key]?.state.isHealthy == true)
    path.trouble = ProbeOutcome.Failure(.route, "the backend does not answer")
    checks.set(paths: [Self.key: path], interfaceIndex: 1, trouble: nil)
    try await until(checks, false)
    #expect(checks.reading.healths[Self.key]?.reason == "the backend does not answer")
    checks.stop()
  }

  @Test func `a probe without a path is tried again within a second, however long the interval is`() throws {
    let checks = HealthChecks(prober: try Prober(steering: nil, echo: nil, maxInFlight: 64)) { _ in }
    defer { checks.stop() }
    var desired = Self.desired(port: 80)
    desired.pools[0].health.check?.via = .tunnel
    desired.pools[0].health.check?.interval = .seconds(3600)
    let vip = IPAddress.v4(192, 0, 2, 1)
    desired.services = [
      VirtualService(
        key: VirtualService.Key(address: vip, transport: .tcp, port: 80), name: "web", pool: "web")
    ]
    _ = checks.check(desired) { _, _ in true }
    let now = ProbeClock.now
    let step = checks.state.withLock {
      $0.step(HealthBoard.Target(backend: Self.key, vip: vip), 1, at: now)
    }
    guard case .wait(let until) = step else {
      Issue.record("\(step)")
      return
    }
    #expect(until == now + .seconds(1))
  }

  @Test func `of several VIPs the worst is diagnosed and gives the reason, and of equals the first`() throws {
    let checks = HealthChecks(prober: try Prober(steering: nil, echo: nil, maxInFlight: 64)) { _ in }
    defer { checks.stop() }
    // Without an interface all probes wait: what the board knows comes from here alone.
    let vips = (1...6).map { IPAddress.v4(192, 0, 2, $0) }
    var desired = Self.desired(port: 80)
    desired.pools[0].health.check?.via = .tunnel
    desired.services = vips.map { vip in
      VirtualService(
        key: VirtualService.Key(address: vip, transport: .tcp, port: 80), name: "web", pool: "web")
    }
    _ = checks.check(desired) { _, _ in true }
    func note(_ vip: IPAddress, _ reason: String?, _ layer: ProbeLayer = .port) {
      let failure = reason.map { ProbeOutcome.Failure(layer, $0) }
      let now = ProbeClock.now
      checks.state.withLock {
        _ = $0.board.add(
          ProbeOutcome(failure: failure, duration: .zero),
          of: HealthBoard.Target(backend: Self.key, vip: vip), begun: now, at: now)
      }
    }
    func expectWorst(_ vip: IPAddress, _ reason: String) {
      // A dictionary's order is another one each time.
      for _ in 0..<20 { #expect(checks.reading.healths[Self.key]?.reason == reason) }
      #expect(checks.reading.job(of: Self.key, at: nil)?.destination == vip)
    }
    note(vips[0], "no port is free", .local)
    expectWorst(vips[0], "no port is free")
    note(vips[2], "slow")
    note(vips[1], "late")
    expectWorst(vips[1], "late")
    for _ in 1...2 { note(vips[5], "gone") }
    note(vips[5], nil)
    #expect(
      checks.reading.job(of: Self.key, at: nil)?.destination == vips[5], "it is going up, the others down")
    for _ in 1...2 { note(vips[4], "refused") }
    expectWorst(vips[4], "refused")
    for _ in 1...2 { note(vips[3], "reset") }
    expectWorst(vips[3], "reset")
    #expect(checks.reading.job(of: Self.key, at: vips[2])?.destination == vips[2], "that is asked for")
  }

  private func count(_ checks: HealthChecks) -> UInt64 {
    checks.state.withLock { $0.counts.probes.values.reduce(0, +) }
  }
}
