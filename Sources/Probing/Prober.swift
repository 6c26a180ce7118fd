// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import LoadBalancing
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Makes probes: thousands at a time, on one thread of its own, for little.
public final class Prober: Sendable {
  let loop: ProbeLoop

  /// - Parameters:
  ///   - steering: brings probes to their backends; without it, those with a tunnel fail.
  ///   - echo: for probes of the kind `icmp`; without it, they fail.
  ///   - maxInFlight: probes beyond so many wait their turn; also what the limit of descriptors leaves room for, whose
  ///     soft limit is raised to the hard one.
  /// - Throws: ``ProbingError``
  public init(steering: (any ProbeSteering)?, echo: EchoSockets?, maxInFlight: Int) throws {
    loop = try ProbeLoop(steering: steering, echo: echo, maxInFlight: maxInFlight)
    loop.run()
  }

  deinit { loop.stop() }

  /// Begins a probe at an instant of ``ProbeClock``; nil: now.
  /// - Parameter done: called once, on the prober's thread, with the instant at which the probe began; must be quick.
  ///   After ``stop()`` it may be called at once, by the caller's thread.
  public func start(
    _ probe: Probe, at instant: Duration?,
    _ done: @escaping @Sendable (ProbeOutcome, _ begun: Duration) -> Void
  ) {
    loop.start(probe, at: instant ?? .zero, done)
  }

  /// Calls `body` on the prober's thread at an instant of ``ProbeClock``; it must be quick. Not after ``stop()``.
  public func call(at instant: Duration, _ body: @escaping @Sendable () -> Void) {
    loop.call(at: instant, body)
  }

  public func run(_ probe: Probe) async -> ProbeOutcome {
    await withCheckedContinuation { continuation in
      start(probe, at: nil) { outcome, _ in continuation.resume(returning: outcome) }
    }
  }

  /// Ends the thread. Probes in flight, and those that are begun later, fail at the layer `local`.
  public func stop() { loop.stop() }

  public var inFlight: Int { loop.inFlight.load(ordering: .relaxed) }

  /// Whether there are sockets for echo requests.
  public var canEcho: Bool { loop.echo != nil }
}
