// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Probing

@Suite struct SteeredFlowsTests {
  private let flow = ProbeFlow(
    source: .v4(10, 0, 0, 1), sourcePort: 40000, destination: .v4(192, 0, 2, 1), port: 80, transport: .tcp)
  private let tunnel = Probe.Tunnel.loopback

  @Test func `a flow that another probe has taken meanwhile is released by that one only`() throws {
    let steering = RecordingSteering()
    let flows = SteeredFlows(steering)
    try flows.steer(flow, into: tunnel, for: 1)
    try flows.steer(flow, into: tunnel, for: 2)
    flows.release(flow, of: 1)
    #expect(steering.released == [])
    flows.release(flow, of: 2)
    #expect(steering.released == [flow])
    flows.release(flow, of: 2)
    #expect(steering.released == [flow])
  }

  @Test func `one that cannot be steered stays with the probe that had it`() throws {
    let steering = FullSteering(room: 1)
    let flows = SteeredFlows(steering)
    try flows.steer(flow, into: tunnel, for: 1)
    #expect(throws: ProbeOutcome.Failure(.local, "the probe cannot be steered: full")) {
      try flows.steer(flow, into: tunnel, for: 2)
    }
    flows.release(flow, of: 2)
    #expect(steering.recorded.released == [])
    flows.release(flow, of: 1)
    #expect(steering.recorded.released == [flow])
  }
}

/// Refuses what is beyond its room.
private final class FullSteering: ProbeSteering {
  private struct Full: Error, CustomStringConvertible {
    let description = "full"
  }

  let recorded = RecordingSteering()
  private let room: Int

  init(room: Int) { self.room = room }

  func steer(_ flow: ProbeFlow, into tunnel: Probe.Tunnel) throws {
    guard recorded.steered.count < room else { throw Full() }
    try recorded.steer(flow, into: tunnel)
  }

  func release(_ flow: ProbeFlow) { recorded.release(flow) }
  func trace(of flow: ProbeFlow) -> ProbeTrace? { nil }
}
