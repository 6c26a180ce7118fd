// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import LoadBalancing
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Makes probes, thousands at a time, on one thread.
public final class Prober: Sendable {
  let loop: ProbeLoop

  /// - Parameters:
  /// - steering: directs probes to their backends; without it, probes with a tunnel fail.
  ///   - echo: for probes of the kind `icmp`; without it, they fail.
  /// - maxInFlight: the maximum number of concurrent probes; others wait. The limit of descriptors, whose soft limit is
  /// raised to the hard one, may reduce it.
  /// - Throws: ``ProbingError``
  public init(steering: (any ProbeSteering)?, echo: EchoSockets?, maxInFlight: Int) throws {
    loop = try ProbeLoop(steering: steering, echo: echo, maxInFlight: maxInFlight)
    try loop.run()
  }

  deinit { loop.stop() }

  /// Starts a probe at a time of ``ProbeClock``; `nil`: now.
  /// - Parameter done: called once, on the prober's thread, with the time at which the probe started. It must not
  /// block. After ``stop()`` it may be called at once, on the caller's thread.
  public func start(
    _ probe: Probe, at instant: Duration?,
    _ done: @escaping @Sendable (ProbeOutcome, _ begun: Duration) -> Void
  ) {
    loop.start(probe, at: instant ?? .zero, done)
  }

  /// Calls `body` on the prober's thread at a time of ``ProbeClock``. It must not block. It is not called after
  /// ``stop()``.
  public func call(at instant: Duration, _ body: @escaping @Sendable () -> Void) {
    loop.call(at: instant, body)
  }

  public func run(_ probe: Probe) async -> ProbeOutcome {
    await withCheckedContinuation { continuation in
      start(probe, at: nil) { outcome, _ in continuation.resume(returning: outcome) }
    }
  }

  /// Ends the thread. Probes in flight and later ones fail with layer `local`.
  public func stop() { loop.stop() }

  public var inFlight: Int { loop.inFlight.load(ordering: .relaxed) }

  /// Whether there are sockets for echo requests.
  public var canEcho: Bool { loop.echo != nil }
}
