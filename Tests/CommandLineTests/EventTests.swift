// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Synchronization
import Testing

@testable import sluice

/// `sluice events`.
@Suite struct EventTests {
  private static let drain = Event(
    seq: 7, time: "2026-11-21T12:00:00.123Z", type: "backend", object: "web/web2", old: "state ready",
    new: "state drain", reason: "kernel\u{1B}", by: "root (uid 0, pid 1)")
  private static let alarm = Event(
    seq: 8, time: "2026-11-21T12:00:01.123Z", type: "alarm", object: "pool-empty", new: "raised",
    reason: "pool web has no backend")

  private static func lines(_ events: [Event]) -> String {
    events.map { Samples.json($0) + "\n" }.joined()
  }

  @Test func `a line for each`() throws {
    let gap = Event(time: "2026-11-21T12:00:02.123Z", type: "gap", lost: 3)
    let daemon = try FakeDaemon { _ in (200, Self.lines([Self.drain, Self.alarm, gap])) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["events", "--since", "6", "-t", "backend", "--type", "alarm,plan"], daemon: daemon)
    #expect(run.code == 0, "\(run.errors)")
    #expect(
      run.output == """
        2026-11-21T12:00:00.123Z  backend    web/web2          state ready -> state drain, by root (uid 0, pid 1): kernel\\u{1B}
        2026-11-21T12:00:01.123Z  alarm      pool-empty        raised: pool web has no backend
        2026-11-21T12:00:02.123Z  gap        3 events are lost: they came faster than they were read

        """)
    #expect(daemon.requests.map(\.path) == ["/v1/events?since=6&type=backend&type=alarm%2Cplan"])
  }

  @Test func `JSON is what the API answers, a line each`() throws {
    let text = #"{"later":{"a":1},"object":"x","time":"t","type":"plan"}"# + "\n"
    let daemon = try FakeDaemon { _ in (200, text) }
    defer { daemon.stop() }
    #expect(try Invocation.sluice(["events", "-o", "json"], daemon: daemon).output == text)
  }

  @Test func `following outlasts a stream that is cut off`() throws {
    let answers = Mutex<[FakeDaemon.Answer]>([
      (200, Self.lines([Self.drain])), (200, Self.lines([Self.alarm])),
      (400, Samples.json(ErrorReply(ErrorReply.Body(code: "x", message: "enough")))),
    ])
    let daemon = try FakeDaemon(cut: true) { _ in answers.withLock { $0.removeFirst() } }
    defer { daemon.stop() }
    let run = try Invocation.sluice(["events", "--follow"], daemon: daemon)
    #expect(
      daemon.requests.map(\.path) == [
        "/v1/events?follow=1", "/v1/events?follow=1&since=7", "/v1/events?follow=1&since=8",
      ], "\(run.errors)")
    #expect(run.errors.hasSuffix("sluice: enough\n"))
  }

  @Test func `an answer that is cut off is no strange answer`() throws {
    let daemon = try FakeDaemon(cut: true) { _ in (200, "{") }
    defer { daemon.stop() }
    #expect(try Invocation.sluice(["status"], daemon: daemon).code == 69)
  }

  @Test func `following outlasts a restart, and goes on where it was or from the beginning`() throws {
    let answers = Mutex<[FakeDaemon.Answer?]>([
      (200, Self.lines([Self.drain])), nil, (200, Self.lines([Self.alarm])), (200, ""),
      (200, Self.lines([Self.drain])),
      (400, Samples.json(ErrorReply(ErrorReply.Body(code: "x", message: "enough")))),
    ])
    let runs = Mutex(["a", "a", "b", "b"])
    let daemon = try FakeDaemon(
      fields: { _ in runs.withLock { $0.isEmpty ? "" : "sluice-started: \($0.removeFirst())\r\n" } },
      answer: { _ in answers.withLock { $0.removeFirst() } })
    defer { daemon.stop() }
    let run = try Invocation.sluice(["events", "--follow"], daemon: daemon)
    #expect(run.code == 1)
    #expect(
      daemon.requests.map(\.path) == [
        "/v1/events?follow=1", "/v1/events?follow=1&since=7", "/v1/events?follow=1&since=7",
        "/v1/events?follow=1&since=8", "/v1/events?follow=1&since=0", "/v1/events?follow=1&since=7",
      ])
    #expect(run.output.split(separator: "\n").map { $0.contains("web/web2") } == [true, false, true])
    #expect(
      run.errors == """
        sluice: the daemon does not answer; trying again
        sluice: the daemon answers again
        sluice: the daemon does not answer; trying again
        sluice: the daemon was restarted: events are numbered from 1 again
        sluice: the daemon does not answer; trying again
        sluice: enough

        """)
  }

  @Test func `a daemon that was never there is not waited for`() throws {
    let run = try Invocation.sluice(["events", "--follow", "--socket", "/tmp/sl-nobody.sock"])
    #expect(run.code == 69)
  }

  @Test func `it ends with its reader`() throws {
    let many = Self.lines(Array(repeating: Self.drain, count: 5000))
    let daemon = try FakeDaemon { _ in (200, many) }
    defer { daemon.stop() }
    let run = try Invocation.sluice(
      ["events", "--follow"], daemon: daemon,
      wrapper: ["/bin/bash", "-c", #"timeout 20 "$0" "$@" | head -n 2; echo "${PIPESTATUS[0]}""#])
    #expect(run.output.split(separator: "\n").last == "141", "\(run)")
  }
}
