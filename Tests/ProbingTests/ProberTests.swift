// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Synchronization
import Testing

@testable import Probing

/// A listener on loopback that accepts nothing by itself: the kernel does.
final class Listener: Sendable {
  let descriptor: CInt
  let address: IPAddress
  let port: UInt16

  init(on text: String = "127.0.0.1", backlog: CInt = 4096) {
    let address = IPAddress(text)!
    let descriptor = socket(address.family.socketFamily, CInt(SOCK_STREAM.rawValue), 0)
    var octets = [UInt8](repeating: 0, count: 128)
    var size = socklen_t(octets.count)
    let isBound =
      address.withSocketAddress(port: 0) {
        bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), $1)
      } == 0
    let isNamed = octets.withUnsafeMutableBytes {
      getsockname(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size) == 0
    }
    precondition(isBound && isNamed && listen(descriptor, backlog) == 0)
    self.address = address
    self.descriptor = descriptor
    port = UInt16(octets[2]) << 8 | UInt16(octets[3])
  }

  deinit { close(descriptor) }

  func probe(timeout: Duration = .seconds(2), tunnel: Probe.Tunnel? = nil) -> Probe {
    Probe(kind: .tcp, destination: address, port: port, tunnel: tunnel, timeout: timeout)
  }
}

/// Connections that fill the queue of a listener that never accepts: the kernel takes one or two, while they are open.
final class Held {
  private let clients: [CInt]

  init(_ listener: Listener) {
    clients = (0..<4).map { _ in
      let client = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
      _ = listener.address.withSocketAddress(port: listener.port) {
        connect(client, $0.assumingMemoryBound(to: sockaddr.self), $1)
      }
      return client
    }
  }

  deinit { for client in clients { close(client) } }
}

/// Remembers what it was asked for.
final class RecordingSteering: ProbeSteering {
  private let flows = Mutex((steered: [ProbeFlow](), released: [ProbeFlow]()))

  var steered: [ProbeFlow] { flows.withLock { $0.steered } }
  var released: [ProbeFlow] { flows.withLock { $0.released } }

  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws {
    flows.withLock { $0.steered.append(flow) }
  }
  func release(_ flow: ProbeFlow) { flows.withLock { $0.released.append(flow) } }
  func trace(of flow: ProbeFlow) -> ProbeTrace? { nil }
}

extension Probe.Tunnel {
  /// On loopback, where nothing is encapsulated.
  static let loopback = Probe.Tunnel(backend: 1, mtu: 1480, source: .v4(127, 0, 0, 1))
}

func prober(steering: (any ProbeSteering)? = nil, maxInFlight: Int = 4096) throws -> Prober {
  try Prober(steering: steering, echo: nil, maxInFlight: maxInFlight)
}

@Suite struct ProberTests {
  @Test func `a prober whose thread cannot be made says so`() throws {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 1 << 46)
    let loop = try ProbeLoop(steering: nil, echo: nil, maxInFlight: 16)
    #expect(throws: ProbingError.self) { try loop.run(with: &attributes) }
  }

  @Test(
    arguments: [
      (Duration.milliseconds(-20), 0), (.seconds(-3), 0), (.zero, 0), (.nanoseconds(1), 1),
      (.milliseconds(5), 5),
      (.seconds(2) + .microseconds(1), 2001), (.seconds(86_400 * 365), CInt.max),
    ] as [(Duration, CInt)])
  func `what is due is not waited for, and nothing is looked at too early`(
    _ wait: Duration, _ milliseconds: CInt
  ) {
    #expect(Poller.milliseconds(wait) == milliseconds)
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func `a connection that is accepted passes`(_ address: String)
    async throws
  {
    let listener = Listener(on: address)
    let outcome = await try prober().run(listener.probe())
    #expect(outcome.failure == nil)
    #expect(outcome.steps.map(\.what) == ["connected"])
  }

  @Test func `nobody listens`() async throws {
    var probe = Listener().probe()
    probe.port = 1
    let outcome = await try prober().run(probe)
    #expect(outcome.failure == .init(.port, "connection refused"))
  }

  @Test func `a listener whose queue is full is silent, and the probe ends in time`() async throws {
    let listener = Listener(backlog: 0)
    let prober = try prober()
    var outcomes: [ProbeOutcome] = []
    let held = Held(listener)
    outcomes.append(await prober.run(listener.probe(timeout: .milliseconds(300))))
    withExtendedLifetime(held) {}
    #expect(outcomes[0].failure == .init(.timeout, "no answer to the connection within 300 ms"))
    #expect(outcomes[0].duration >= .milliseconds(300))
  }

  @Test func `a tunnelled probe is steered before its first packet, and released once, whatever comes of it`()
    async throws
  {
    let steering = RecordingSteering()
    let prober = try prober(steering: steering)
    let listener = Listener(on: "127.0.0.2")
    let tunnel = Probe.Tunnel.loopback
    #expect(await prober.run(listener.probe(tunnel: tunnel)).hasPassed)
    var closed = listener.probe(tunnel: tunnel)
    closed.port = 1
    #expect(await prober.run(closed).failure?.layer == .port)
    #expect(steering.steered.count == 2)
    #expect(steering.steered == steering.released)
    #expect(
      steering.steered.allSatisfy {
        $0.sourcePort != 0 && $0.destination == listener.address && $0.transport == .tcp
      })
  }

  @Test func `this host's stack sends to the stand-in, and the flow names the VIP`() async throws {
    let listener = Listener(on: "127.0.0.2")
    let steering = RecordingSteering()
    var tunnel = Probe.Tunnel.loopback
    tunnel.standIn = listener.address
    var probe = listener.probe(tunnel: tunnel)
    probe.destination = .v4(192, 0, 2, 10)
    #expect(await (try prober(steering: steering)).run(probe).hasPassed)
    let flow = try #require(steering.steered.first)
    #expect(flow.destination == probe.destination && flow.standIn == listener.address)
  }

  @Test func `without an address of the VIP's family the fault is local`() async throws {
    var tunnel = Probe.Tunnel.loopback
    tunnel.source = nil
    let failure = await (try prober(steering: RecordingSteering())).run(Listener().probe(tunnel: tunnel))
      .failure
    #expect(failure?.layer == .local && failure?.reason.contains("no IPv4 address") == true)
  }

  @Test(arguments: [
    (ProbeTrace(hasLeft: false, isAnswered: false), false, ProbeLayer.local),
    (ProbeTrace(hasLeft: false, isAnswered: false), true, .route),
    (ProbeTrace(hasLeft: true, isAnswered: false), false, .timeout),
    (ProbeTrace(hasLeft: true, isAnswered: true), false, .reply),
  ])
  func `silence is judged by what the interface saw`(
    _ trace: ProbeTrace, _ isBackendSilent: Bool, _ layer: ProbeLayer
  ) async throws {
    let listener = Listener(on: "127.0.0.2", backlog: 0)
    let held = Held(listener)
    var tunnel = Probe.Tunnel.loopback
    tunnel.isBackendSilent = isBackendSilent
    let prober = try prober(steering: TracingSteering(trace: trace))
    let outcome = await prober.run(listener.probe(timeout: .milliseconds(200), tunnel: tunnel))
    #expect(outcome.failure?.layer == layer)
    withExtendedLifetime(held) {}
  }

  @Test func `an answer to a probe that was not steered is nobody's`() async throws {
    let steering = TracingSteering(trace: ProbeTrace(hasLeft: false, isAnswered: false))
    let listener = Listener(on: "127.0.0.2")
    #expect(
      await (try prober(steering: steering)).run(listener.probe(tunnel: .loopback)).failure?.layer == .local)
  }

  @Test func `thousands at once, bounded, leave no descriptor behind`() async throws {
    let listener = Listener()
    let prober = try prober(maxInFlight: 64)
    let before = descriptors()
    let probe = listener.probe(timeout: .seconds(20))
    let (passed, most) = await withTaskGroup(of: (Bool, Int).self) { group in
      for _ in 0..<3000 {
        group.addTask { (await prober.run(probe).hasPassed, prober.inFlight) }
      }
      return await group.reduce(into: (0, 0)) { $0 = ($0.0 + ($1.0 ? 1 : 0), max($0.1, $1.1)) }
    }
    #expect(passed == 3000)
    #expect(most <= 64)
    #expect(prober.inFlight == 0)
    // Other tests have theirs, for a moment.
    for _ in 0..<500 where descriptors() > before + 8 { try await Task.sleep(for: .milliseconds(20)) }
    #expect(descriptors() <= before + 8)
  }

  @Test func `a prober that stops answers for every probe`() async throws {
    let prober = try prober()
    let listener = Listener(backlog: 0)
    let probe = Probe(kind: .tcp, destination: listener.address, port: listener.port, timeout: .seconds(30))
    let answers = await withTaskGroup(of: Void.self) { group in
      for _ in 0..<40 { group.addTask { _ = await prober.run(probe) } }
      try? await Task.sleep(for: .milliseconds(100))
      prober.stop()
      return await group.reduce(into: 0) { count, _ in count += 1 }
    }
    #expect(answers == 40)
  }

  @Test func `probes that have not begun, and those after the end, are answered for as well`() async throws {
    let prober = try prober()
    let probe = Listener().probe()
    async let later = withCheckedContinuation { continuation in
      prober.start(probe, at: ProbeClock.now + .seconds(3600)) { outcome, _ in
        continuation.resume(returning: outcome)
      }
    }
    try await Task.sleep(for: .milliseconds(50))
    prober.stop()
    #expect(await later.failure == .init(.local, "the prober stops"))
    #expect(await prober.run(probe).failure == .init(.local, "the prober stops"))
  }

  private func descriptors() -> Int {
    var count = 0
    guard let directory = opendir("/proc/self/fd") else { return -1 }
    while readdir(directory) != nil { count += 1 }
    closedir(directory)
    return count
  }
}

/// Saw of every flow the same.
private final class TracingSteering: ProbeSteering {
  private let trace: ProbeTrace

  init(trace: ProbeTrace) { self.trace = trace }

  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws {}
  func release(_ flow: ProbeFlow) {}
  func trace(of flow: ProbeFlow) -> ProbeTrace? { trace }
}
