// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Probing

/// On loopback, where 127.0.0.2 plays the VIP and nothing is encapsulated: who answers is the same host.
@Suite struct DiagnosisTests {
  private func diagnose(_ probe: Probe, backend: String = "127.0.0.3") async throws -> Diagnosis.Report {
    let prober = try Prober(steering: RecordingSteering(), echo: EchoSockets(), maxInFlight: 64)
    return await Diagnosis(of: probe, to: IPAddress(backend)!, outerSources: nil, by: prober).run()
  }

  @Test(arguments: ["127.0.0.1", "::1"]) func `echo requests are answered`(_ address: String) async throws {
    let prober = try Prober(steering: nil, echo: EchoSockets(), maxInFlight: 64)
    let probe = Probe(kind: .icmp, destination: IPAddress(address)!, port: 0, timeout: .seconds(5))
    let outcome = await prober.run(probe)
    #expect(outcome.failure == nil)
  }

  @Test func `a probe that passes is followed by a look at the MTU`() async throws {
    let listener = Listener(on: "127.0.0.2")
    let report = try await diagnose(listener.probe(tunnel: .loopback))
    #expect(report.failure == nil)
    #expect(report.findings.map(\.step) == ["probe", "tcp", "echo", "echo"])
    #expect(report.findings.allSatisfy { $0.result == .ok })
  }

  @Test func `what a reply says needs no further question`() async throws {
    var probe = Listener(on: "127.0.0.2").probe(tunnel: .loopback)
    probe.port = 1
    let report = try await diagnose(probe)
    #expect(report.failure?.layer == .port)
    #expect(report.findings.map(\.step) == ["tcp"])
  }

  @Test func `an echo request that was answered too late is no silent port, and no missing route`()
    async throws
  {
    // Linux takes it for this host, which answers from loopback's address: that is nobody's reply.
    let probe = Probe(kind: .icmp, destination: IPAddress("::")!, port: 0, timeout: .milliseconds(200))
    let report = try await diagnose(probe, backend: "::1")
    #expect(
      report.failure == .init(.timeout, "::1 answers echo requests, but not always within 200 ms"))
    #expect(report.findings.map(\.step) == ["probe", "icmp", "echo"])
  }

  @Test func `where families differ, nothing shows that the backend decapsulates`() async throws {
    var tunnel = Probe.Tunnel.loopback
    tunnel.source = IPAddress("::1")
    let probe = Probe(
      kind: .icmp, destination: IPAddress("::")!, port: 0, tunnel: tunnel,
      timeout: .milliseconds(200))
    let report = try await diagnose(probe, backend: "127.0.0.3")
    #expect(report.failure?.layer == .reply)
    for possible in ["a tunnel for IPv6 in IPv4", "is :: on its lo", "rp_filter"] {
      #expect(report.failure?.reason.contains(possible) == true)
    }
  }

  @Test func `where only the port is silent, the VIP's echo says so`() async throws {
    let listener = Listener(on: "127.0.0.2", backlog: 0)
    let held = Held(listener)
    let report = try await diagnose(
      listener.probe(timeout: .milliseconds(300), tunnel: .loopback))
    #expect(report.failure?.layer == .port)
    #expect(report.findings.map(\.step) == ["tcp", "echo"])
    withExtendedLifetime(held) {}
  }
}
