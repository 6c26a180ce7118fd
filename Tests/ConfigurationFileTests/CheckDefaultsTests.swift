// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import ConfigurationFile

/// A pool's check and `defaults.check`: what the two say together.
@Suite struct CheckDefaultsTests {
  /// ``goodText`` with a check in the defaults and one in the pool of web servers; that of DNS servers has none.
  private func text(defaults: String, pool: String) -> String {
    goodText
      .replacingFirst(
        "  affinity: { learn: 2h }\n", with: "  affinity: { learn: 2h }\n  check: \(defaults)\n"
      )
      .replacingFirst("hash: flow\n", with: "hash: flow\n    check: \(pool)\n")
      .replacingFirst("hash: source\n", with: "hash: source\n    check: { type: none }\n")
  }

  @Test(arguments: [
    ("{ type: http, ×body: ok }", "{ ¦method: HEAD }"),
    ("{ type: http, ×method: HEAD }", "{ type: http, ¦body: ok }"),
    ("{ type: https, ×body: ok }", "{ ¦method: HEAD, path: /up }"),
  ])
  func `a body cannot be expected of HEAD, whichever level says what`(defaults: String, pool: String) throws {
    try expectConflict(defaults, pool)
  }

  /// - Parameters:
  ///   - defaults: `×` marks what of it the conflict is with.
  ///   - pool: `¦` marks where it is reported.
  private func expectConflict(_ defaults: String, _ pool: String) throws {
    let marked = text(defaults: defaults, pool: pool)
    let place = marked.replacing("×", with: "").takingMarks()
    let other = marked.replacing("¦", with: "").replacing("×", with: "¦").takingMarks()
    let report = parse(place.text)
    #expect(report.errors.map(\.brief) == place.places.map { "\($0) conflicting-keys" })
    let related = try #require(report.errors.first?.related, "\(report.rendered())")
    #expect(["\(related.line):\(related.column)"] == other.places)
    #expect(report.configuration == nil)
  }

  @Test(arguments: [
    ("{ type: http, body: ok }", "{ method: GET }"), ("{ type: http, method: HEAD }", "{ path: /up }"),
    ("{ type: https, body: ok }", "{ type: http, method: HEAD }"),
  ])
  func `what does not come together is no mistake, and is shown as it can be read`(
    defaults: String, pool: String
  ) throws {
    _ = try check(defaults: defaults, pool: pool)
  }

  /// The check of the pool of web servers, which must come back as it is from what `config show` shows.
  private func check(defaults: String, pool: String) throws -> HealthCheck? {
    let report = parse(text(defaults: defaults, pool: pool))
    let configuration = try #require(report.configuration, "\(report.rendered())")
    let shown = describe(configuration).replacingFirst(
      "\"***************** masked *****************\"", with: "'\(configuration.node.hashSeed)'")
    #expect(parse(shown).configuration == configuration, "\(shown)")
    return configuration.desired.pool(named: "web")?.health.check
  }

  @Test func `defaults without a type give what checks of every type have`() throws {
    let tunnelled = "{ vips: [192.0.2.10], port: 8080, on_start: up, rise: 9 }"
    #expect(
      try check(defaults: tunnelled, pool: "{ type: tcp }")
        == HealthCheck(kind: .tcp, vips: [.v4(192, 0, 2, 10)], port: 8080, rise: 9, start: .up))
    #expect(
      try check(defaults: tunnelled, pool: "{ type: http, port: 80, rise: 8, on_start: down }")
        == HealthCheck(kind: .http(HTTPQuestion()), vips: [.v4(192, 0, 2, 10)], port: 80, rise: 8))
    #expect(
      try check(defaults: tunnelled, pool: "{ type: icmp }")
        == HealthCheck(kind: .icmp, vips: [.v4(192, 0, 2, 10)], rise: 9, start: .up))
    #expect(try check(defaults: tunnelled, pool: "{ type: none }") == nil)
    #expect(
      try check(defaults: "{ via: direct }", pool: "{ type: tcp }") == HealthCheck(kind: .tcp, via: .direct))
    #expect(
      try check(defaults: "{ via: direct }", pool: "{ type: udp, send: a, via: tunnel }")?.via == .tunnel)
  }

  /// A value of each key that belongs to types of checks, other than its default.
  private static let samples = [
    "full_size": "true", "method": "HEAD", "path": "/up", "host": "a.example", "expect": "204", "body": "ok",
    "tls_verify": "false", "tls_ca": "/etc/hosts", "query": "b.example", "qtype": "AAAA", "transport": "tcp",
    "answer": "192.0.2.7", "send": "ping", "send_hex": "00ff", "reply": "pong", "reply_hex": "01ff",
  ]

  /// What types require.
  private static let required: [ProbeType: String] = [.dns: "query: a.example", .udp: "send: x"]

  @Test(
    arguments: KeyTable.checkSection.keys.flatMap { key in key.checkTypes.map { (key.name, $0) } })
  func `every key of a type is inherited from defaults of the same type`(name: String, type: ProbeType) throws
  {
    var value = try #require(Self.samples[name], "a sample for the new key")
    if name == "expect", type == .dns { value = "NXDOMAIN" }
    let required = Self.required[type].flatMap { $0.hasPrefix(name) ? nil : $0 }
    let keys = ["type: \(type.rawValue)", required, "\(name): \(value)"].compactMap(\.self)
    let own = "{ \(keys.joined(separator: ", ")) }".replacing(
      name == "send_hex" ? "send: x, " : "\0", with: "")
    let written = try check(defaults: "{ interval: 2s }", pool: own)
    #expect(try check(defaults: own, pool: "{ interval: 2s }") == written)
    let plain = ["type: \(type.rawValue)", Self.required[type]].compactMap(\.self).joined(separator: ", ")
    #expect(try check(defaults: "{ interval: 2s }", pool: "{ \(plain) }") != written)
  }

  @Test(arguments: [
    ("{ vips: ×[192.0.2.10] }", "{ type: tcp, via: ¦direct }"),
    ("{ via: ×direct }", "{ type: tcp, vips: ¦[192.0.2.10] }"),
  ])
  func `VIPs of one level and direct probes of the other exclude each other`(defaults: String, pool: String)
    throws
  {
    try expectConflict(defaults, pool)
  }
}
