// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The flows that are steered into tunnels, with the run that each belongs to.
///
/// The port of an HTTP exchange is free when its descriptor is closed, which its run learns later. By then another run
/// may have got the same port and steered the same flow, which the first run must not release.
final class SteeredFlows {
  private let steering: any ProbeSteering
  /// The number of the run that steered the flow of each local endpoint.
  private var owners: [ProbeFlow.Endpoint: UInt64] = [:]

  init(_ steering: any ProbeSteering) { self.steering = steering }

  /// Steers a flow into a tunnel for a run, replacing an earlier owner.
  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel, for run: UInt64) throws(ProbeOutcome.Failure) {
    do {
      try steering.steer(flow, into: tunnel)
    } catch {
      throw .init(.local, "the probe cannot be steered: \(error)")
    }
    owners[flow.endpoint] = run
  }

  /// Ends the steering of a flow if the run still owns it.
  func release(_ flow: ProbeFlow, of run: UInt64) {
    guard owners[flow.endpoint] == run else { return }
    owners[flow.endpoint] = nil
    steering.release(flow)
  }

  /// The packets of a run's flow that the interface has seen; `nil` if unknown.
  func trace(of flow: ProbeFlow, of run: UInt64) -> ProbeTrace? {
    owners[flow.endpoint] == run ? steering.trace(of: flow) : nil
  }
}
