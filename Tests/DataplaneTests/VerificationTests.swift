// SPDX-License-Identifier: Apache-2.0
import Dataplane
import Glibc
import LoadBalancing
import Testing

/// What is in the maps is compared with what a plan promises. Here the promise is another than the steps keep.
@Suite("Verification", .serialized)
struct VerificationTests {
  private static let limits = NodeSettings.Limits(
    services: 8, pools: 4, backends: 8, slots: 4 * 251, flows: 1024, pairs: 128)
  private static let key = VirtualService.Key(address: .v4(10, 100, 0, 1), transport: .tcp, port: 80)

  private static func plan(_ forwarder: Forwarder) throws -> Plan {
    let backends = (1...3).map { Backend(name: "b\($0)", address: .v4(10, 0, 0, UInt8($0))) }
    let desired = DesiredState(
      services: [VirtualService(key: key, name: "www", pool: "web")],
      pools: [Pool(name: "web", backends: backends, tableSize: 251)])
    return try Planner.plan(
      from: InstalledState(), to: desired, limits: limits, now: try forwarder.now(),
      tickLength: forwarder.tickLength)
  }

  private static func apply(_ tamper: (inout InstalledState) -> Void) throws {
    let pins = "/sys/fs/bpf/sluice-test-\(getpid())-verification"
    defer { rmdir(pins) }
    let settings = NodeSettings(
      interface: .init(name: "none"), limits: limits, hashSeed: "verification", pinDirectory: pins)
    let forwarder = try Forwarder(settings, isFullSpeed: true)
    var plan = try plan(forwarder)
    tamper(&plan.result)
    try forwarder.apply(plan, nextHops: [:])
  }

  @Test("a plan that was kept passes")
  func kept() throws { try Self.apply { _ in } }

  private static let broken: [(String, @Sendable (inout InstalledState) -> Void)] = [
    ("backend", { $0.backends[1]?.name = "other" }),
    ("backend", { $0.backends[2]?.pair = 7 }),
    ("backend", { $0.backends[3] = nil }),
    ("pool web", { $0.pools["web"]?.settle = 60 }),
    ("pool web", { $0.pools["web"]?.firstSlot = 251 }),
    ("service www", { $0.services[key]?.firstPair = 32 }),
    ("service other", { $0.services[key]?.service.name = "other" }),
    ("service www", { $0.services[key]?.number = 5 }),
    ("removal of service", { $0.services[key] = nil }),
  ]

  @Test("what differs is named")
  func differs() throws {
    for (name, tamper) in Self.broken {
      let error = #expect(throws: DataplaneError.self) { try Self.apply(tamper) }
      guard let error else { continue }
      #expect("\(error)".contains(name) && "\(error)".contains("reads back differently"), "\(error)")
    }
  }
}
