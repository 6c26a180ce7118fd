// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import LoadBalancing
import NIOCore
import Probing
import Testing

@testable import Control

/// No client can keep others out, or the daemon busy.
@Suite(.serialized) struct APILimitTests {
  private static var impatient: ConnectionLimits {
    var limits = ConnectionLimits()
    limits.idle = .milliseconds(400)
    limits.request = .milliseconds(400)
    limits.answer = .milliseconds(800)
    return limits
  }

  /// Sends an octet now and then until the server has had enough.
  private func drip(_ connection: RawConnection) async -> Duration {
    let start = ContinuousClock.now
    while await connection.send("a"), ContinuousClock.now - start < .seconds(10) {
      try? await Task.sleep(for: .milliseconds(50))
    }
    return ContinuousClock.now - start
  }

  @Test func aSlowHeadIsCut() async throws {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send("GET /v1/status HTTP/1.1\r\nX: ")
      #expect(await drip(connection) < .seconds(3))
    }
  }

  @Test func aSlowBodyIsCut() async throws {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send("POST /v1/config/check HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\n\r\n")
      #expect(await drip(connection) < .seconds(3))
      #expect(await fixture.plane.candidates.isEmpty)
    }
  }

  @Test func anIdleConnectionIsCut() async throws {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      let silent = try RawConnection(fixture.control)
      #expect(await silent.readToEnd() == [])
      // Also one that has had its answer.
      let kept = try RawConnection(fixture.control)
      await kept.send("GET /v1/pools HTTP/1.1\r\nHost: l\r\n\r\n")
      #expect(Answer(await kept.readToEnd() ?? [])?.status == 200)
    }
  }

  @Test func whoDoesNotReadIsCut() async throws {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.answerMetrics(with: String(repeating: "sluice_x 1\n", count: 1_000_000))
      let connection = try RawConnection(fixture.control)
      await connection.send("GET /metrics HTTP/1.1\r\nHost: l\r\n\r\n")
      try await Task.sleep(for: .seconds(2))
      let octets = await connection.readToEnd() ?? []
      #expect(!octets.isEmpty && octets.count < 10_000_000, "\(octets.count)")
    }
  }

  @Test func aSlowAnswerIsWaitedFor() async throws {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      // Twenty changes of 2 ms take turns; none of them is idle meanwhile.
      let path = "/v1/pools/web/backends/b1/drain"
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<20 { group.addTask { try await ask(fixture.control, "POST", path).status } }
        for try await status in group { #expect(status == 200) }
      }
    }
  }

  @Test func `a check has the time that its probe and the diagnosis may take, others have not`() async throws
  {
    try await ServerFixture.run(limits: Self.impatient) { (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.take(.seconds(2))
      let backend = "/v1/pools/web/backends/b1"
      #expect(try await ask(fixture.control, "POST", backend + "/check").status == 200)
      #expect(try await ask(fixture.control, "POST", backend + "/check?target=192.0.2.10").status == 200)
      await #expect(throws: NoAnswer.self) { try await ask(fixture.control, "GET", backend + "/drain") }
    }
    #expect(CheckReport.patience > HealthCheck.timeouts.upperBound + Diagnosis.longest)
  }

  @Test func idleConnectionsDoNotKeepOthersOut() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      var idle: [RawConnection] = []
      for _ in 0..<500 { idle.append(try RawConnection(fixture.control)) }
      let start = ContinuousClock.now
      for _ in 0..<10 {
        #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
      }
      #expect(ContinuousClock.now - start < .seconds(5))
      withExtendedLifetime(idle) {}
    }
  }

  @Test func busyConnectionsAreNotCutForNewOnes() async throws {
    var limits = ConnectionLimits()
    limits.connections = 4
    try await ServerFixture.run(limits: limits) { (fixture: ServerFixture) async throws -> Void in
      var busy: [RawConnection] = []
      for _ in 0..<4 {
        let connection = try RawConnection(fixture.control)
        await connection.send(
          "POST /v1/config/check HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Length: 2\r\n\r\na")
        busy.append(connection)
      }
      try await Task.sleep(for: .milliseconds(300))
      let surplus = try RawConnection(fixture.control)
      #expect(await surplus.readToEnd() == [])
      for connection in busy {
        await connection.send("b")
        #expect(Answer(await connection.readToEnd() ?? [])?.status == 200)
      }
      #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
    }
  }

  @Test func nonsenseGetsBadRequestAndIsCut() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for text in [
        "\r\n\r\nnonsense\r\n\r\n", "GET /v1/status HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n",
        "GET /v1/status HTTP/1.1\r\nX: \(String(repeating: "a", count: 20_000))\r\n\r\n",
        "GET / HTTP/1.1\r\n\((0..<200).map { "X\($0): a\r\n" }.joined())\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/detach HTTP/1.1\r\nHost: l\r\nContent-Length: -1\r\n\r\n",
      ] {
        let connection = try RawConnection(fixture.control)
        await connection.send(text)
        let octets = await connection.readToEnd()
        #expect(octets != nil, "was not cut: \(text.prefix(40))")
        let status = Answer(octets ?? [])?.status
        #expect(status == nil || status == 400, "\(text.prefix(40)): \(status ?? 0)")
      }
      #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send(
        "GET /v1/pools HTTP/1.1\r\nHost: l\r\n\r\n"
          + "GET /v1/nothing HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n"
      )
      let text = String(decoding: await connection.readToEnd() ?? [], as: UTF8.self)
      #expect(text.hasPrefix("HTTP/1.1 200"))
      #expect(text.components(separatedBy: "HTTP/1.1 404").count == 2)
    }
  }
}
