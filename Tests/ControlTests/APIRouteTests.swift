// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import HTTPTypes
import Logging
import Synchronization
import Testing

@testable import Control

/// Every route, on real Unix sockets.
@Suite struct APIRouteTests {
  /// A path with names that the fake daemon knows.
  static func concrete(_ path: String) -> String {
    path.replacing("{pool}", with: "web").replacing("{backend}", with: "b1").replacing(
      "{service}", with: "web")
  }

  /// A body with which the route does its work.
  static func body(of route: Route) -> String {
    switch (route.method, route.path) {
    case (.post, "/v1/pools/{pool}/backends/{backend}"): #"{"address": "10.0.0.9", "weight": 5}"#
    case (.patch, _): #"{"weight": 7, "reason": "slow disk"}"#
    case (.post, let path) where path.hasSuffix("drain") || path.hasSuffix("maint"): #"{"reason": "kernel"}"#
    case (.post, "/v1/config/check"), (.post, "/v1/config/diff"): "version: 1\n"
    default: ""
    }
  }

  private static func changes(_ route: Route) -> Bool {
    route.method != .get && !["/v1/config/check", "/v1/config/diff"].contains(route.path)
      && !route.path.hasSuffix("/check")
  }

  @Test func everyRouteAnswers() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let routes = ControlRoutes(plane: fixture.plane).control.routes
      #expect(routes.count >= 20)
      for route in routes {
        let answer = try await ask(
          fixture.control, route.method.rawValue, Self.concrete(route.path), Self.body(of: route))
        #expect(answer.status == 200, "\(route.method) \(route.path): \(answer.text)")
        let type = answer.headers["content-type"] ?? ""
        if type == "application/json" {
          #expect((try? JSONSerialization.jsonObject(with: Data(answer.body))) != nil, "\(route.path)")
          #expect(answer.text.hasSuffix("\n"))
        } else {
          let others = ["application/yaml", "application/x-ndjson"]
          #expect(others.contains(type) || type.hasPrefix("text/plain; version=0.0.4"), "\(route.path)")
        }
      }
    }
  }

  @Test func readingChangesNothing() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for route in ControlRoutes(plane: fixture.plane).control.routes where !Self.changes(route) {
        _ = try await ask(
          fixture.control, route.method.rawValue, Self.concrete(route.path), Self.body(of: route))
      }
      #expect(await fixture.plane.changes.isEmpty)
      #expect(await fixture.plane.generation == 1)
    }
  }

  @Test func everyChangeCanBeTriedDry() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let routes = ControlRoutes(plane: fixture.plane).control.routes.filter(Self.changes)
      for route in routes {
        let path = Self.concrete(route.path) + "?dry_run=1"
        let answer = try await ask(fixture.control, route.method.rawValue, path, Self.body(of: route))
        #expect(answer.status == 200, "\(path): \(answer.text)")
        #expect(answer.object["dry_run"] as? Bool == true, "\(path)")
        #expect(answer.object["generation"] as? Int == 1, "\(path)")
      }
      #expect(await fixture.plane.changes.allSatisfy(\.dryRun))
      #expect(await fixture.plane.generation == 1)
    }
  }

  @Test func changesSayWhatWasAsked() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let backend = "/v1/pools/web/backends/b1"
      let requests: [(String, String, String)] = [
        ("POST", backend, #"{"address":"10.0.0.9","weight":5,"state":"drain","reason":"a"}"#),
        ("PATCH", backend, #"{"weight":7,"reason":"b"}"#),
        ("DELETE", backend + "?force=1&reason=two%20words", ""),
        ("POST", backend + "/drain", #"{"reason":"c"}"#), ("POST", backend + "/undrain", ""),
        ("POST", backend + "/maint?force=1", "{}"), ("POST", "/v1/config/reload?force=1", ""),
        ("POST", "/v1/detach", ""),
      ]
      for (method, path, body) in requests {
        #expect(
          try await ask(fixture.control, method, path, body).status == 200, "\(method) \(path)")
      }
      typealias Change = FakeControlPlane.Change
      #expect(
        await fixture.plane.changes == [
          Change(verb: "add", object: "web/b1 10.0.0.9", state: "drain", weight: 5, reason: "a"),
          Change(verb: "change", object: "web/b1", weight: 7, reason: "b"),
          Change(verb: "remove", object: "web/b1", reason: "two words", force: true),
          Change(verb: "change", object: "web/b1", state: "drain", reason: "c"),
          Change(verb: "change", object: "web/b1", state: "ready"),
          Change(verb: "change", object: "web/b1", state: "maint", force: true),
          Change(verb: "reload", force: true),
          Change(verb: "detach"),
        ])
      let identities = Set(await fixture.plane.requesters.map(\.identity))
      #expect(identities.count == 1)
      #expect(identities.first?.hasSuffix("(uid \(getuid()), pid \(getpid()))") == true, "\(identities)")
    }
  }

  @Test func statusSocketOnlyTells() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for route in ControlRoutes(plane: fixture.plane).control.routes {
        let answer = try await ask(
          fixture.status, route.method.rawValue, Self.concrete(route.path), Self.body(of: route))
        if route.method == .get {
          #expect(answer.status == 200, "\(route.path)")
        } else {
          #expect([404, 405].contains(answer.status), "\(route.method) \(route.path)")
        }
      }
      #expect(await fixture.plane.changes.isEmpty)
      #expect(await fixture.plane.candidates.allSatisfy { $0 == nil })
    }
  }

  @Test func listenerTellsStatusAndMetricsOnly() async throws {
    let routes = ControlRoutes(plane: FakeControlPlane()).listener.routes
    #expect(routes.map { "\($0.method) \($0.path)" }.sorted() == ["GET /metrics", "GET /v1/status"])
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    guard
      case .tcp("::1", 9090) = ControlServer.listener(
        FakeControlPlane(), address: "[::1]:9090", logger: logger)?.endpoint
    else {
      Issue.record("[::1]:9090 was not understood")
      return
    }
    #expect(ControlServer.listener(FakeControlPlane(), address: "localhost", logger: logger) == nil)
  }

  @Test func headIsGetWithoutBody() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let answer = try await ask(fixture.control, "HEAD", "/v1/status")
      #expect(answer.status == 200)
      #expect(answer.body.isEmpty)
      #expect(Int(answer.headers["content-length"] ?? "0") ?? 0 > 0)
    }
  }

  // MARK: Errors

  @Test func unknownPathsAreToldTheNearest() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let near = try await ask(fixture.control, "GET", "/v1/statsu")
      #expect(near.status == 404)
      #expect(near.code == "path-not-found")
      #expect(near.error["suggestion"] as? String == "/v1/status")
      #expect(near.error["path"] as? String == "/v1/statsu")
      let verb = try await ask(fixture.control, "POST", "/v1/pools/web/backends/b1/drian")
      #expect(verb.error["suggestion"] as? String == "/v1/pools/web/backends/b1/drain")
      for path in ["/v2", "/v1/", "/v1/pools//backends", "/v1/pools/web/backends/b1/explode", "/v1/../etc"] {
        let answer = try await ask(fixture.control, "GET", path)
        #expect(answer.status == 404, "\(path): \(answer.text)")
        #expect(answer.code == "path-not-found", "\(path)")
      }
    }
  }

  @Test func wrongMethodsAreToldTheRight() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let answer = try await ask(fixture.control, "PUT", "/v1/pools/web/backends/b1")
      #expect(answer.status == 405)
      #expect(answer.code == "method-not-allowed")
      #expect(answer.headers["allow"] == "DELETE, GET, PATCH, POST")
      #expect(try await ask(fixture.control, "GET", "/v1/detach").headers["allow"] == "POST")
      #expect(
        try await ask(fixture.status, "PATCH", "/v1/pools/web/backends/b1", "{}").headers["allow"] == "GET")
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func unknownNamesAreToldTheNearest() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for (path, code) in [
        ("/v1/services/wbe", "service-not-found"), ("/v1/pools/wbe/backends", "pool-not-found"),
        ("/v1/pools/web/backends/b2", "backend-not-found"),
      ] {
        let answer = try await ask(fixture.control, "GET", path)
        #expect(answer.status == 404)
        #expect(answer.code == code)
        #expect(answer.message.contains("did you mean"), "\(answer.message)")
      }
    }
  }

  @Test func configurationErrorsHaveTheirPlaces() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let answer = try await ask(fixture.control, "POST", "/v1/config/check", "bad")
      #expect(answer.status == 422)
      let diagnostic = (answer.error["diagnostics"] as? [[String: Any]])?.first ?? [:]
      #expect(diagnostic["endColumn"] as? Int == 9)
      #expect(diagnostic["line"] as? Int == 3)
      #expect(diagnostic["suggestion"] as? String == "weight")
      _ = try await ask(fixture.control, "POST", "/v1/config/check")
      #expect(await fixture.plane.candidates == ["bad", nil])
    }
  }

  @Test func unexpectedErrorsHaveTheSameShape() async throws {
    struct Broken: Error, CustomStringConvertible { var description: String { "the map is gone" } }
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.fail(with: Broken())
      for (method, path) in [("GET", "/v1/status"), ("POST", "/v1/config/reload")] {
        let answer = try await ask(fixture.control, method, path)
        #expect(answer.status == 500)
        #expect(answer.code == "failed")
        #expect(answer.message == "the map is gone")
      }
      // A failed change passes its turn on.
      #expect(try await ask(fixture.control, "POST", "/v1/detach").status == 500)
    }
  }

  // MARK: Generations

  @Test func generationsGuardChanges() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let path = "/v1/pools/web/backends/b1/drain"
      let run = fixture.plane.events.run
      #expect(try await ask(fixture.control, "GET", "/v1/pools").headers["etag"] == "\"\(run)-1\"")
      let stale = try await ask(fixture.control, "POST", path, "", headers: ["If-Match": "\"\(run)-7\""])
      #expect(stale.status == 412)
      #expect(stale.code == "generation-changed")
      #expect(await fixture.plane.changes.isEmpty)
      let fresh = try await ask(fixture.control, "POST", path, "", headers: ["If-Match": "\"\(run)-1\""])
      #expect(fresh.status == 200)
      #expect(fresh.headers["etag"] == "\"\(run)-2\"")
      #expect(
        try await ask(fixture.control, "POST", path, "", headers: ["If-Match": "*"]).status == 200)
      for wrong in ["W/x", "\"7\"", "7", "\"\"", "\"", "\"x-7\"", "\"1-x\""] {
        #expect(
          try await ask(fixture.control, "POST", path, "", headers: ["If-Match": wrong]).status == 400,
          "\(wrong)")
      }
    }
  }

  @Test func aTagOfAnotherRunMatchesNothing() async throws {
    let seen = Mutex("")
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let tag = try await ask(fixture.control, "GET", "/v1/status").headers["etag"] ?? ""
      seen.withLock { $0 = tag }
      #expect(try await ask(fixture.status, "GET", "/v1/status").headers["etag"] == tag)
    }
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let answer = try await ask(
        fixture.control, "POST", "/v1/pools/web/backends/b1/drain", "",
        headers: ["If-Match": seen.withLock { $0 }])
      #expect(answer.status == 412, "the generation is the same, the run another")
      #expect(await fixture.plane.changes.isEmpty)
    }
  }

  @Test func ofManyWithTheSameGenerationOneWins() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      let tag = "\(fixture.plane.events.run)-1"
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<12 {
          group.addTask {
            try await ask(
              fixture.control, "POST", "/v1/pools/web/backends/b1/drain", "", headers: ["If-Match": tag]
            ).status
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.count { $0 == 200 } == 1)
      #expect(statuses.count { $0 == 412 } == 11)
    }
  }
}
