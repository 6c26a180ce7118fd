// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging

@testable import Control

/// A control server over a fake daemon, on sockets in a directory of its own.
struct ServerFixture {
  let plane: FakeControlPlane
  let directory: String
  var control: String { directory + "/control.sock" }
  var status: String { directory + "/status.sock" }

  /// Runs both sockets while `body` runs; then nothing is left.
  static func run(
    limits: ConnectionLimits = ConnectionLimits(), heartbeat: Duration = .seconds(15),
    _ body: @escaping @Sendable (ServerFixture) async throws -> Void
  ) async throws {
    try await withDirectory { directory in
      let fixture = ServerFixture(plane: FakeControlPlane(), directory: directory)
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      var routes = ControlRoutes(plane: fixture.plane)
      routes.heartbeat = heartbeat
      let servers = [(fixture.control, routes.control), (fixture.status, routes.status)].map {
        ControlServer(
          endpoint: .unix(UnixSocket(path: $0, group: nil)), responder: $1, limits: limits, logger: logger)
      }
      try await serving(servers, sockets: [fixture.control, fixture.status]) {
        try await body(fixture)
      }
    }
  }

  /// Prepares and runs servers until `body` has ended.
  static func serving(
    _ servers: [ControlServer], sockets: [String], _ body: @escaping @Sendable () async throws -> Void
  ) async throws {
    for server in servers { try server.prepare() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for server in servers { group.addTask { try? await server.run() } }
      group.addTask {
        for socket in sockets { try await opened(socket) }
        try await body()
        throw Ended()
      }
      do {
        for try await _ in group {}
      } catch is Ended {
        group.cancelAll()
      } catch {
        group.cancelAll()
        throw error
      }
    }
  }

  private struct Ended: Error {}
  private struct Late: Error {}

  /// Waits until the server has given its socket to the group.
  private static func opened(_ socket: String) async throws {
    for _ in 0..<500 {
      if mode(of: socket) == 0o660 { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw Late()
  }

  static func mode(of path: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]) as? Int
  }

  static func withDirectory(_ body: (String) async throws -> Void) async throws {
    let directory = "/tmp/sl-api-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(directory)
  }
}
