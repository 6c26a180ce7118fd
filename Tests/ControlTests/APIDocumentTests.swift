// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Testing

@testable import Control

/// `/v1/openapi.json` against the routes and the values.
@Suite struct APIDocumentTests {
  private let document: [String: Any]

  init() throws {
    document = try #require(
      JSONSerialization.jsonObject(with: Data(OpenAPI.document.utf8)) as? [String: Any])
  }

  @Test func namesEveryRouteAndNoOther() throws {
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    let documented = paths.flatMap { path, operations in
      operations.keys.filter { $0 != "parameters" }.map { "\($0.uppercased()) \(path)" }
    }
    let routes = ControlRoutes(plane: FakeControlPlane()).control.routes
    #expect(Set(documented) == Set(routes.map { "\($0.method.rawValue) \($0.path)" }))
    #expect(documented.count == routes.count)
  }

  @Test func namesEveryQueryParameter() throws {
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    for route in ControlRoutes(plane: FakeControlPlane()).control.routes {
      let operation = paths[route.path]?[route.method.rawValue.lowercased()] as? [String: Any]
      let names = (operation?["parameters"] as? [[String: Any]] ?? []).compactMap { parameter in
        parameter["in"] as? String == "query"
          ? parameter["name"] as? String
          : (parameter["$ref"] as? String).flatMap {
            $0.hasSuffix("if_match") ? nil : $0.split(separator: "/").last
          }
          .map(String.init)
      }
      #expect(Set(names) == Set(route.query), "\(route.method) \(route.path)")
    }
  }

  @Test func referencesLeadSomewhere() throws {
    let components = try #require(document["components"] as? [String: [String: Any]])
    let references = OpenAPI.document.split(separator: "\"").filter { $0.hasPrefix("#/components/") }
    #expect(!references.isEmpty)
    for reference in references {
      let parts = reference.split(separator: "/")
      #expect(components[String(parts[2])]?[String(parts[3])] != nil, "\(reference)")
    }
  }

  @Test func `the errors that the sources answer are those of the table in docs`() throws {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let control = repository.appending(path: "Sources/Control")
    let names = try FileManager.default.subpathsOfDirectory(atPath: control.path).filter {
      $0.hasSuffix(".swift")
    }
    var answered: Set<String> = []
    for name in names {
      let source = try String(contentsOf: control.appending(path: name), encoding: .utf8)
      let codes = source.matches(of: /ControlError\(\s*\.\w+,\s*"([a-z-]+)"|\.refused\(\s*"([a-z-]+)"/)
      answered.formUnion(codes.compactMap { ($0.1 ?? $0.2).map(String.init) })
      answered.formUnion(source.matches(of: /\.notFound\(\s*"([a-z-]+)"/).map { "\($0.1)-not-found" })
    }
    let text = try String(contentsOf: repository.appending(path: "docs/control-api.md"), encoding: .utf8)
    let table = text.split(separator: "\n").filter { $0.contains(/^\| [45]\d\d \|/) }
    let documented = table.flatMap { $0.matches(of: /`([a-z-]+)`/).map { String($0.1) } }
    #expect(answered.count > 10)
    #expect(answered.subtracting(documented) == [])
  }

  @Test func describesTheValuesAsTheyAreSent() throws {
    let error = ErrorReply(
      ErrorReply.Body(
        code: "c", message: "m", suggestion: "s", path: "/", diagnostics: [FakeControlPlane.diagnostic],
        effect: FakeControlPlane.effect))
    try expect(FakeControlPlane.status, "Status")
    try expect(FakeControlPlane.status.configuration, "ConfigurationStatus")
    try expect(FakeControlPlane.status.interface, "Interface")
    try expect(FakeControlPlane.status.alarms[0], "Alarm")
    try expect(FakeControlPlane.status.verdicts[0], "Verdict")
    try expect(FakeControlPlane.pool, "Pool")
    try expect(
      Event(
        seq: 1, time: "t", type: "gap", object: "o", objects: ["o"], old: "a", new: "b", reason: "r", by: "b",
        lost: 1),
      "Event")
    try expect(FakeControlPlane.service, "Service")
    try expect(FakeControlPlane.backend, "Backend")
    try expect(FakeControlPlane.backend.override, "Override")
    try expect(
      DrainStatus(
        pool: "web", backend: "b1", state: "drain", flows: 1, activeFlows: 1, silentAfterS: 300, lastNewS: 1,
        quietS: 60, drained: false, trouble: "no memory"),
      "DrainStatus")
    try expect(FakeControlPlane.check, "Check")
    try expect(
      CheckReport(
        pool: "web", backend: "b1", target: "192.0.2.1", port: 80, type: "tcp", via: "tunnel", passed: false,
        steps: [],
        layer: "port", conclusion: "refused", cure: "listen"), "CheckReport")
    try expect(FakeControlPlane.effect, "ChangeEffect")
    try expect(FakeControlPlane.effect.pools[0], "PoolEffect")
    try expect(FakeControlPlane.effect.uncounted[0], "Uncounted")
    try expect(
      ChangeReply(generation: 1, dryRun: true, effect: FakeControlPlane.effect, notSaved: "full"),
      "ChangeReply")
    try expect(BackendAddition(address: "a", weight: 1, state: "s", reason: "r"), "BackendAddition")
    try expect(BackendChange(weight: 1, state: "s", reason: "r"), "BackendChange")
    try expect(ConfigurationCheck(services: 1, pools: 1, warnings: []), "ConfigurationCheck")
    try expect(
      ConfigurationDiff(reload: FakeControlPlane.effect, drift: [], restartRequired: []), "ConfigurationDiff")
    try expect(FakeControlPlane.diagnostic, "Diagnostic")
    try expect(error, "Error")
  }

  /// The value's keys are the schema's, and the value comes back as it went.
  private func expect<Value: Codable & Equatable>(_ value: Value, _ name: String) throws {
    let octets = try ControlJSON.encode(value)
    #expect(try ControlJSON.decode(Value.self, from: octets) == value, "\(name)")
    let keys = (try JSONSerialization.jsonObject(with: Data(octets)) as? [String: Any])?.keys
    let components = document["components"] as? [String: [String: Any]]
    let schema = components?["schemas"]?[name] as? [String: Any]
    let properties = (schema?["properties"] as? [String: Any])?.keys
    #expect(Set(keys.map { Array($0) } ?? []) == Set(properties.map { Array($0) } ?? ["none"]), "\(name)")
  }
}
