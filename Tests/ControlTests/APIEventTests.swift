// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Testing

@testable import Control

/// `GET /v1/events`, on real sockets.
@Suite(.serialized) struct APIEventTests {
  private static let follow = "GET /v1/events?follow=1 HTTP/1.1\r\nHost: l\r\n\r\n"

  private static func append(_ count: Int, type: String = "backend", to log: EventLog) {
    for number in 0..<count {
      log.append(
        type: type, object: "web/\(number)", reason: String(repeating: "r", count: 1000) + "\(number)")
    }
  }

  private static func events(_ answer: Answer) throws -> [Event] {
    try answer.body.split(separator: 0x0a).map { try ControlJSON.decode(Event.self, from: Array($0)) }
  }

  private static func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<1000 where !condition() { try await Task.sleep(for: .milliseconds(10)) }
    return condition()
  }

  @Test func `what there is comes as lines, on both sockets and not over TCP`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      Self.append(2, to: fixture.plane.events)
      Self.append(1, type: "plan", to: fixture.plane.events)
      for socket in [fixture.control, fixture.status] {
        let answer = try await ask(socket, "GET", "/v1/events")
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"] == "application/x-ndjson")
        #expect(answer.headers["sluice-started"] == fixture.plane.events.startedAt)
        #expect(try Self.events(answer).map(\.seq) == [1, 2, 3])
      }
      #expect(
        try Self.events(try await ask(fixture.status, "GET", "/v1/events?since=1&type=alarm,plan")).map(\.seq)
          == [3])
      #expect(
        try Self.events(try await ask(fixture.status, "GET", "/v1/events?type=backend&type=plan")).count == 3)
      #expect(!ControlRoutes(plane: fixture.plane).listener.routes.contains { $0.path == "/v1/events" })
    }
  }

  @Test func `what makes no sense is refused`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for query in [
        "type=helth", "type=", "since=x", "since=1&since=2", "follow=yes", "since=9999999999999999999",
      ] {
        let answer = try await ask(fixture.control, "GET", "/v1/events?\(query)")
        #expect(answer.status == 400, "\(query)")
      }
      let answer = try await ask(fixture.control, "GET", "/v1/events?type=helth")
      #expect(answer.error["suggestion"] as? String == "health")
    }
  }

  @Test func `a follower gets what comes, and the end of the daemon is the end of the answer`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let log = fixture.plane.events
      Self.append(1, to: log)
      let connection = try RawConnection(fixture.control)
      await connection.send(Self.follow)
      #expect(await connection.read(until: "\r\n\r\n")?.contains("transfer-encoding: chunked") == true)
      log.append(type: "alarm", object: "pool-empty")
      let read = await connection.read(until: "pool-empty")
      #expect(read?.contains(#""seq":2"#) == true && read?.contains(#""seq":1,"#) == false)
      log.append(type: "daemon", object: "sluiced", new: "stopped")
      log.end()
      let last = await connection.read(until: "\r\n0\r\n\r\n")
      #expect(last?.contains(#""new":"stopped""#) == true)
      #expect(last?.hasSuffix("\r\n0\r\n\r\n") == true)
      #expect(try await Self.eventually { log.followerCount == 0 })
    }
  }

  @Test func `heartbeats keep a silent follower longer than an answer may take`() async throws {
    var limits = ConnectionLimits()
    // Long enough that other tests do not keep the CPUs for all of it.
    limits.answer = .seconds(30)
    try await ServerFixture.run(limits: limits, heartbeat: .milliseconds(300)) {
      (fixture: ServerFixture) async throws -> Void in
      let connection = try RawConnection(fixture.control)
      await connection.send(Self.follow)
      try await Task.sleep(for: .seconds(40))
      fixture.plane.events.append(type: "alarm", object: "pool-empty")
      let read = await connection.read(until: "pool-empty") ?? ""
      #expect(read.contains("pool-empty"))
      #expect(read.split(separator: "heartbeat").count > 4)
    }
  }

  @Test func `a client that is gone leaves no follower behind, and one too many is refused`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let log = fixture.plane.events
      var connections: [RawConnection] = []
      for _ in 0..<EventLog.followerLimit {
        let connection = try RawConnection(fixture.control)
        await connection.send(Self.follow)
        connections.append(connection)
      }
      #expect(try await Self.eventually { log.followerCount == EventLog.followerLimit })
      let refused = try await ask(fixture.status, "GET", "/v1/events?follow=1")
      #expect(refused.status == 503)
      #expect(refused.code == "too-many-followers")
      #expect(try await ask(fixture.status, "GET", "/v1/events").status == 200)
      #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
      connections.removeAll()
      #expect(try await Self.eventually { log.followerCount == 0 })
    }
  }

  private static var residentBytes: Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
    return (fields.flatMap { Int($0[1]) } ?? 0) * Int(getpagesize())
  }

  @Test func `one that does not read costs no memory, keeps nobody back, and is cut`() async throws {
    var limits = ConnectionLimits()
    limits.answer = .seconds(2)
    try await ServerFixture.run(limits: limits, heartbeat: .seconds(1)) {
      (fixture: ServerFixture) async throws -> Void in
      let log = fixture.plane.events
      let stuck = try RawConnection(fixture.control)
      await stuck.send(Self.follow)
      let reading = try RawConnection(fixture.control)
      await reading.send(
        "GET /v1/events?follow=1&type=alarm HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n")
      #expect(try await Self.eventually { log.followerCount == 2 })
      let before = Self.residentBytes
      let all = Task { await reading.readToEnd() }
      Self.append(100_000, to: log)
      log.append(type: "alarm", object: "the-last")
      #expect(Self.residentBytes - before < 60 << 20, "\((Self.residentBytes - before) >> 20) MB")
      #expect(try await ask(fixture.control, "GET", "/v1/status").status == 200)
      // The one that does not read is cut; the other goes on.
      #expect(try await Self.eventually { log.followerCount == 1 })
      log.end()
      #expect(String(decoding: await all.value ?? [], as: UTF8.self).contains("the-last"))
      withExtendedLifetime(stuck) {}
    }
  }

  @Test func `however fast they come, each one is told or counted as lost`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let log = fixture.plane.events
      let connection = try RawConnection(fixture.control)
      await connection.send(
        "GET /v1/events?follow=1&since=0 HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n")
      let all = Task { await connection.readToEnd() }
      #expect(try await Self.eventually { log.followerCount == 1 })
      for _ in 0..<20_000 { log.append(type: "backend", object: "web/b1") }
      log.end()
      // Lines of the chunked transfer coding are no objects.
      let events = (await all.value ?? []).split(separator: 0x0a).compactMap {
        $0.first == UInt8(ascii: "{") ? try? ControlJSON.decode(Event.self, from: Array($0)) : nil
      }
      let numbers = events.compactMap(\.seq)
      #expect(numbers.last == 20_000)
      #expect(numbers == numbers.sorted())
      #expect(UInt64(numbers.count) + events.compactMap(\.lost).reduce(0, +) == 20_000)
    }
  }
}
