// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import Control

/// A server ends in time, listens as soon as it can, and keeps nothing else waiting.
@Suite(.serialized, .timeLimit(.minutes(10))) struct APIEndTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// Runs a server on a socket, has `connect` open connections, and then ends the server.
  /// - Returns: the time that its end took.
  private func timeToEnd(_ connect: (RawConnection) async throws -> Void) async throws -> Duration {
    var time = Duration.zero
    try await ServerFixture.withDirectory { directory in
      let path = directory + "/control.sock"
      let plane = FakeControlPlane()
      await plane.answerMetrics(with: String(repeating: "sluice_x 1\n", count: 400_000))
      let server = ControlServer.control(plane, path: path, group: nil, logger: Self.quiet)
      try server.prepare()
      let group = ServiceGroup(services: [server], logger: Self.quiet)
      async let running: Void = group.run()
      for _ in 0..<500 where ServerFixture.mode(of: path) != 0o660 {
        try await Task.sleep(for: .milliseconds(10))
      }
      let connection = try RawConnection(path)
      try await connect(connection)
      try await Task.sleep(for: .milliseconds(300))
      let begun = ContinuousClock.now
      await group.triggerGracefulShutdown()
      try await running
      time = begun.duration(to: .now)
      _ = connection
    }
    return time
  }

  @Test func theEndDoesNotWaitForAClientThatTakesNothing() async throws {
    let time = try await timeToEnd { await $0.send("GET /metrics HTTP/1.1\r\nHost: l\r\n\r\n") }
    #expect(time < .seconds(4), "\(time)")
  }

  @Test func theEndDoesNotWaitForASlowBody() async throws {
    let time = try await timeToEnd {
      await $0.send("POST /v1/config/check HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\n\r\na")
    }
    #expect(time < .seconds(4), "\(time)")
  }

  @Test func theEndDoesNotWaitForAnIdleConnection() async throws {
    let time = try await timeToEnd { _ in }
    #expect(time < .seconds(4), "\(time)")
  }

  @Test func requestsThatTakeLongKeepNoOtherTaskWaiting() async throws {
    try await ServerFixture.withDirectory { directory in
      let path = directory + "/control.sock"
      let begun = Atomic(0)
      let ended = Atomic(0)
      let mayEnd = Atomic(false)
      let busy = Route(.get, "/busy") { _, _ in
        begun.add(1, ordering: .relaxed)
        // If other tasks do wait, they go on after 10 s.
        for _ in 0..<1000 where !mayEnd.load(ordering: .relaxed) { usleep(10_000) }
        ended.add(1, ordering: .relaxed)
        throw ControlError.invalid("busy")
      }
      let server = ControlServer(
        endpoint: .unix(UnixSocket(path: path, group: nil)),
        responder: ControlResponder(routes: [busy], counts: RequestCounts()), logger: Self.quiet)
      try await ServerFixture.serving([server], sockets: [path]) { () async throws -> Void in
        let count = ProcessInfo.processInfo.activeProcessorCount + 1
        var connections: [RawConnection] = []
        for _ in 0..<count {
          let connection = try RawConnection(path)
          await connection.send("GET /busy HTTP/1.1\r\nHost: l\r\n\r\n")
          connections.append(connection)
        }
        // As many as run at once; others may follow where requests have no threads of their own.
        while begun.load(ordering: .relaxed) < 2 { try await Task.sleep(for: .milliseconds(5)) }
        try await Task.sleep(for: .milliseconds(200))
        for _ in 0..<20 { await Task.detached {}.value }
        #expect(ended.load(ordering: .relaxed) == 0)
        mayEnd.store(true, ordering: .relaxed)
        for connection in connections { #expect(await connection.read(until: "busy") != nil) }
      }
    }
  }

  // MARK: status.listen

  /// A listening TCP socket of the loopback interface.
  private final class Blocker {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    private(set) var port: UInt16 = 0

    init() {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = bind(descriptor, $0, size)
          _ = listen(descriptor, 1)
          _ = getsockname(descriptor, $0, &size)
        }
      }
      port = UInt16(bigEndian: address.sin_port)
    }

    func free() { close(descriptor) }
  }

  @Test func aPortInUseIsToldOfAndListenedOnWhenItIsFree() async throws {
    let blocker = Blocker()
    let address = "127.0.0.1:\(blocker.port)"
    let trouble = ListenerTrouble()
    let listener = StatusListener(
      address: address,
      server: try #require(
        ControlServer.listener(FakeControlPlane(), address: address, logger: Self.quiet)),
      trouble: trouble, logger: Self.quiet, retry: .milliseconds(100))
    let group = ServiceGroup(services: [listener], logger: Self.quiet)
    async let running: Void = group.run()
    func wait(until isMet: () -> Bool) async throws {
      for _ in 0..<500 where !isMet() { try await Task.sleep(for: .milliseconds(10)) }
      #expect(isMet())
    }
    try await wait { trouble.message != nil }
    #expect(trouble.message?.contains(address) == true)
    #expect(trouble.message?.contains("in use") == true, "\(trouble.message ?? "")")
    blocker.free()
    try await wait { trouble.message == nil }
    await group.triggerGracefulShutdown()
    try await running
  }
}
