// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@Suite("What a board takes over, keeps and forgets")
struct HealthConfigurationTests {
  static let once = HealthCheck(kind: .tcp, rise: 1, fall: 1, damping: Damping(hold: .zero))

  /// What a backend begins as.
  struct Beginning: CustomTestStringConvertible, Sendable {
    var start: HealthCheck.Start
    var installed: Bool?
    var state: HealthState
    var testDescription: String { "on_start \(start), installed as \(installed.map { "\($0)" } ?? "none")" }
  }

  @Test(
    "The installed state counts, and on_start for backends never seen",
    arguments: [
      Beginning(start: .down, installed: nil, state: .down),
      Beginning(start: .up, installed: nil, state: .up),
      Beginning(start: .down, installed: true, state: .up),
      Beginning(start: .up, installed: true, state: .up),
      Beginning(start: .down, installed: false, state: .down),
      Beginning(start: .up, installed: false, state: .down),
    ])
  func begins(_ beginning: Beginning) {
    let check = HealthCheck(kind: .tcp, rise: 2, start: beginning.start)
    var world = HealthWorld(
      .checked("web", 1, check), known: beginning.installed.map { ["b1": $0] } ?? [:])
    #expect(world.state("b1") == beginning.state)
    #expect(world.inUse == (beginning.state == .up ? ["b1"] : []))
    world.probe("b1", passes: true, at: .seconds(1))
    #expect(world.state("b1") == (beginning.state == .up ? .up : .goingUp))
  }

  @Test(
    "A service of all ports hides the port of no other service",
    arguments: [HealthCheck.Via.tunnel, .direct], [[0, 443], [443, 0]] as [[UInt16]])
  func portOfAnyService(via: HealthCheck.Via, ports: [UInt16]) {
    let services = ports.map { port in
      VirtualService(
        key: VirtualService.Key(address: HealthWorld.vip, transport: .tcp, port: port), name: "s\(port)",
        pool: "web")
    }
    var board = HealthBoard()
    board.configure(
      DesiredState(services: services, pools: [.checked("web", 1, HealthCheck(kind: .tcp, via: via))]),
      at: .zero
    ) { _, _ in true }
    #expect(board.jobs.values.map(\.port) == [443])
  }

  @Test("What is known stays when the configuration is read again, and a backend is added")
  func stays() {
    var world = HealthWorld(.checked("web", 3, Self.once))
    world.probe("b1", passes: false, at: .seconds(1))
    world.pool.health.check?.fall = 3
    world.pool.health.check?.kind = .tcp
    world.pool.backends.append(Backend(name: "b4", address: .v4(10, 0, 1, 4)))
    world.configure(known: ["b1": true])
    #expect(world.state("b1") == .down)
    #expect(world.state("b4") == .down)
    #expect(world.inUse == ["b2", "b3"])
    #expect(world.health?.required == 1)
  }

  @Test("A backend with another address is new, and answers of the old one are passed over")
  func newAddress() {
    var world = HealthWorld(.checked("web", 2, Self.once))
    world.wait(until: .seconds(5))
    world.change("b1") { $0.address = .v4(10, 9, 9, 9) }
    #expect(world.state("b1") == .down)
    #expect(world.inUse == ["b2"])
    #expect(world.note("b1", passes: true, begun: .seconds(4)) == nil)
    #expect(world.note("b1", passes: true, begun: .seconds(6))?.to == .up)
  }

  @Test("Another kind of question: the backend's health stays, the runs begin anew")
  func newKind() {
    var world = HealthWorld(.checked("web", 2, HealthCheck(kind: .tcp, rise: 2, fall: 2)))
    world.probe("b2", passes: false, at: .seconds(1))
    world.probe("b1", passes: true, at: .milliseconds(1500))
    world.probe("b2", passes: false, at: .seconds(2))
    world.probe("b1", passes: false, at: .milliseconds(2500))
    world.pool.health.check?.kind = .http(HTTPQuestion())
    world.configure()
    #expect(world.state("b1") == .up)
    #expect(world.state("b2") == .down)
    #expect(world.board.record(of: world.target("b1"))?.latest == nil)
    // Another path is no other kind.
    world.probe("b1", passes: false, at: .seconds(3))
    world.pool.health.check?.kind = .http(HTTPQuestion(path: "/healthz"))
    world.configure()
    #expect(world.state("b1") == .goingDown)
  }

  @Test("A pool that gets a check stays in use; one whose check is removed is in use again")
  func checkComesAndGoes() throws {
    var world = HealthWorld(.checked("web", 2, Self.once))
    world.pool.health.check = nil
    world.configure()
    world.pool.health.check = Self.once
    world.configure(known: ["b1": true, "b2": true])
    #expect(world.inUse == ["b1", "b2"])
    #expect(world.state("b1") == .up)
    world.probe("b1", passes: false, at: .seconds(1))
    #expect(
      world.desired.applying(try #require(world.decisions.last).1).pools[0].backends.map(\.isInUse)
        == [
          false, true,
        ])
    world.pool.health.check = nil
    world.configure()
    let decision = try #require(world.decisions.last).1
    #expect(decision.isInUse.isEmpty && decision.pools.isEmpty)
    #expect(world.desired.applying(decision).pools[0].backends.map(\.isInUse) == [true, true])
    #expect(world.state("b1") == .unchecked)
    #expect(world.board.jobs.isEmpty)
  }

  @Test("Without a VIP nothing is probed through the tunnel: unchecked, and in use")
  func noVIP() {
    var board = HealthBoard()
    board.configure(DesiredState(pools: [.checked("web", 2, Self.once)]), at: .zero) { _, _ in nil }
    let decision = board.decide(at: .zero)
    #expect(board.jobs.isEmpty)
    #expect(decision?.isInUse.values.allSatisfy(\.self) == true)
    #expect(decision?.pools["web"]?.isSufficient == true)
    #expect(board.state(of: BackendKey(pool: "web", backend: "b1")) == .unchecked)
  }

  @Test("The guard's interval goes on when the configuration is read again")
  func guardStays() {
    var world = HealthWorld(.checked("web", 4, Self.once, guard: HealthGuard(share: 25)))
    world.probe("b1", passes: false, at: .seconds(1))
    world.configure()
    world.probe("b2", passes: false, at: .seconds(2))
    #expect(world.health?.heldByGuard == ["b2"])
    world.configure()
    #expect(world.health?.heldByGuard == ["b2"])
    world.wait(until: .seconds(61))
    #expect(world.inUse == ["b3", "b4"])
  }

  @Test("Jobs: where probes go")
  func jobs() {
    let vips: [IPAddress] = [.v4(192, 0, 2, 1), .v4(192, 0, 2, 2), .v4(192, 0, 2, 3)]
    let keys: [(Int, TransportProtocol, UInt16)] = [
      (0, .udp, 53), (0, .tcp, 443), (0, .tcp, 80), (1, .tcp, 0), (2, .udp, 53),
    ]
    let services = keys.map { vip, transport, port in
      VirtualService(key: .init(address: vips[vip], transport: transport, port: port), name: "s", pool: "web")
    }
    func ways(_ check: HealthCheck) -> [String] {
      var board = HealthBoard()
      board.configure(DesiredState(services: services, pools: [.checked("web", 1, check)]), at: .zero) {
        _, _ in true
      }
      return board.jobs.values.map { "\($0.destination):\($0.port)\($0.target.vip == nil ? " direct" : "")" }
        .sorted()
    }
    let query = DNSQuestion(name: "example.com")
    #expect(ways(HealthCheck(kind: .tcp)) == ["192.0.2.1:443"])
    #expect(ways(HealthCheck(kind: .tcp, port: 81)) == ["192.0.2.1:81", "192.0.2.2:81", "192.0.2.3:81"])
    #expect(ways(HealthCheck(kind: .dns(query))) == ["192.0.2.1:53", "192.0.2.3:53"])
    #expect(ways(HealthCheck(kind: .icmp)) == ["192.0.2.1:0", "192.0.2.2:0", "192.0.2.3:0"])
    #expect(ways(HealthCheck(kind: .tcp, vips: [vips[1], vips[1]], port: 9)) == ["192.0.2.2:9"])
    #expect(ways(HealthCheck(kind: .tcp, via: .direct)) == ["10.0.0.0:443 direct"])
  }
}
