// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The flows that probes have steered into tunnels, and which probe each belongs to.
///
/// The port of a conversation is free once its descriptor is closed, and its probe hears of that later. By then another
/// one may have got the same port, and have steered the same flow: that is not the first one's to release.
final class SteeredFlows {
  private let steering: any ProbeSteering
  /// The number of the run that steered what leaves from an endpoint.
  private var owners: [ProbeFlow.Endpoint: UInt64] = [:]

  init(_ steering: any ProbeSteering) { self.steering = steering }

  /// Sends the packets of a flow into a tunnel, for a run, whoever had it before.
  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel, for run: UInt64) throws(ProbeOutcome.Failure) {
    do {
      try steering.steer(flow, into: tunnel)
    } catch {
      throw .init(.local, "the probe cannot be steered: \(error)")
    }
    owners[flow.endpoint] = run
  }

  /// The flow is over, if it is still the run's.
  func release(_ flow: ProbeFlow, of run: UInt64) {
    guard owners[flow.endpoint] == run else { return }
    owners[flow.endpoint] = nil
    steering.release(flow)
  }

  /// What the interface saw of a run's flow; nil: that is not known.
  func trace(of flow: ProbeFlow, of run: UInt64) -> ProbeTrace? {
    owners[flow.endpoint] == run ? steering.trace(of: flow) : nil
  }
}
