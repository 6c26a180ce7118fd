// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import LoadBalancing
import NIOCore
import Probing
import Testing

@testable import Control

/// No client can keep others out, or the daemon busy. Each test has one limit that a test can reach: what is cut is cut
/// for that reason, however slow the machine is.
@Suite(.serialized, .timeLimit(.minutes(10))) struct APILimitTests {
  private static let short = TimeAmount.milliseconds(400)

  private static func limits(
    idle: TimeAmount = .hours(1), request: TimeAmount = .hours(1), answer: TimeAmount = .hours(1)
  ) -> ConnectionLimits {
    var limits = ConnectionLimits()
    (limits.idle, limits.request, limits.answer) = (idle, request, answer)
    return limits
  }

  /// Sends an octet now and then until the server has had enough.
  private func drip(_ connection: RawConnection) async throws {
    while await connection.send("a") { try await Task.sleep(for: .milliseconds(50)) }
  }

  /// As `ask`. A connection that was cut before its request came, for being idle, is made again.
  private func insist(_ socket: String, _ method: String, _ path: String) async throws -> Int {
    while true {
      do {
        return try await ask(socket, method, path).status
      } catch is NoAnswer {}
    }
  }

  @Test func aSlowHeadIsCut() async throws {
    try await ServerFixture.run(limits: Self.limits(idle: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send("GET /v1/status HTTP/1.1\r\nX: ")
      try await drip(connection)
    }
  }

  @Test func aSlowBodyIsCut() async throws {
    try await ServerFixture.run(limits: Self.limits(request: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send("POST /v1/config/check HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\n\r\n")
      try await drip(connection)
      #expect(await fixture.plane.candidates.isEmpty)
    }
  }

  @Test func anIdleConnectionIsCut() async throws {
    try await ServerFixture.run(limits: Self.limits(idle: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      let silent = try RawConnection(fixture.control)
      #expect(await silent.readToEnd() == [])
      // Also one that has had its answer. One that is cut before its request comes is made again.
      var octets: [UInt8]? = []
      while octets == [] {
        let kept = try RawConnection(fixture.control)
        await kept.send("GET /v1/pools HTTP/1.1\r\nHost: l\r\n\r\n")
        octets = await kept.readToEnd()
      }
      #expect(Answer(octets ?? [])?.status == 200)
    }
  }

  @Test func whoDoesNotReadIsCut() async throws {
    try await ServerFixture.run(limits: Self.limits(answer: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.answerMetrics(with: String(repeating: "sluice_x 1\n", count: 1_000_000))
      let connection = try RawConnection(fixture.control)
      await connection.send("GET /metrics HTTP/1.1\r\nHost: l\r\n\r\n")
      #expect(await connection.isClosed())
      let octets = await connection.readToEnd() ?? []
      #expect(octets.count < 10_000_000, "\(octets.count)")
    }
  }

  @Test func aSlowAnswerIsWaitedFor() async throws {
    try await ServerFixture.run(limits: Self.limits(idle: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      let path = "/v1/pools/web/backends/b1/drain"
      await fixture.plane.hold()
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<20 { group.addTask { try await insist(fixture.control, "POST", path) } }
        try await fixture.plane.holds(20)
        // One that came later is cut for being idle; the twenty that wait are not idle.
        #expect(try await RawConnection(fixture.control).readToEnd() == [])
        await fixture.plane.release()
        for try await status in group { #expect(status == 200) }
      }
      #expect(await fixture.plane.changes.count == 20, "a request was cut and made again")
    }
  }

  @Test func `a check has the time that its probe and the diagnosis may take, others have not`() async throws
  {
    try await ServerFixture.run(limits: Self.limits(answer: Self.short)) {
      (fixture: ServerFixture) async throws -> Void in
      let backend = "/v1/pools/web/backends/b1"
      await fixture.plane.hold()
      async let check = ask(fixture.control, "POST", backend + "/check").status
      async let targeted = ask(fixture.control, "POST", backend + "/check?target=192.0.2.10").status
      try await fixture.plane.holds(2)
      let other = try RawConnection(fixture.control)
      await other.send("GET \(backend)/drain HTTP/1.1\r\nHost: l\r\n\r\n")
      #expect(await other.readToEnd() == [])
      await fixture.plane.release()
      #expect(try await [check, targeted] == [200, 200])
    }
    #expect(CheckReport.patience > HealthCheck.timeouts.upperBound + Diagnosis.longest)
  }

  @Test func idleConnectionsDoNotKeepOthersOut() async throws {
    try await ServerFixture.run(limits: Self.limits()) { (fixture: ServerFixture) async throws -> Void in
      var idle: [RawConnection] = []
      for _ in 0..<500 { idle.append(try RawConnection(fixture.control)) }
      for _ in 0..<10 {
        #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
      }
      withExtendedLifetime(idle) {}
    }
  }

  @Test func busyConnectionsAreNotCutForNewOnes() async throws {
    var limits = Self.limits()
    limits.connections = 4
    try await ServerFixture.run(limits: limits) { (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.hold()
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          group.addTask { try await ask(fixture.control, "POST", "/v1/pools/web/backends/b1/drain").status }
        }
        try await fixture.plane.holds(4)
        #expect(try await RawConnection(fixture.control).readToEnd() == [])
        await fixture.plane.release()
        for try await status in group { #expect(status == 200) }
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
