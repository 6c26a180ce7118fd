// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing
internal import Probing
internal import Synchronization

/// The health checks of this host.
final class LiveHealth: HealthMonitor {
  private let tunnel: ProbeTunnel
  private let echo: EchoSockets?
  private let mostProbes: Int
  private let report: @Sendable (HealthTransition) -> Void
  private let started = Mutex<HealthChecks?>(nil)

  /// - Parameters:
  ///   - mostProbes: probes in flight at most.
  ///   - report: gets every change of a backend's health, on the prober's thread.
  init(
    tunnel: ProbeTunnel, echo: EchoSockets?, mostProbes: Int,
    report: @escaping @Sendable (HealthTransition) -> Void
  ) {
    self.tunnel = tunnel
    self.echo = echo
    self.mostProbes = mostProbes
    self.report = report
  }

  /// nil before the start.
  var checks: HealthChecks? { started.withLock { $0 } }

  var board: HealthBoard? { checks?.reading.board }

  var decision: HealthDecision? { checks?.decision }

  var hasUnjudged: Bool { checks?.hasUnjudged ?? false }

  /// - Precondition: the process has no capability any more; the prober's thread would keep it.
  func start(_ post: @escaping @Sendable (HealthDecision) -> Void) throws {
    guard checks == nil else { return }
    let prober = try Prober(
      steering: TunnelSteering(tunnel: tunnel), echo: echo, maxInFlight: min(mostProbes, 16_384))
    let checks = HealthChecks(prober: prober, decided: post, changed: report)
    started.withLock { $0 = checks }
  }

  func check(_ request: CheckRequest) -> HealthDecision {
    let known = request.known
    return checks?.check(request.desired, beside: request.remainder) { known($0, $1) }
      ?? HealthDecision()
  }

  func set(paths: ProbePathUpdate) {
    checks?.set(paths: paths.paths, interfaceIndex: paths.interfaceIndex, trouble: paths.trouble)
  }

  func stop() { checks?.stop() }
}

/// Steers probes into tunnels by the egress program.
private final class TunnelSteering: ProbeSteering {
  private let tunnel: ProbeTunnel

  init(tunnel: ProbeTunnel) { self.tunnel = tunnel }

  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws {
    try self.tunnel.steer(flow, to: tunnel.backend, fromOwnAddress: tunnel.fromOwnAddress)
  }

  func release(_ flow: ProbeFlow) { tunnel.release(flow) }

  func trace(of flow: ProbeFlow) -> ProbeTrace? { tunnel.trace(of: flow) }
}
