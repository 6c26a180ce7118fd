// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import LoadBalancing
import Testing

/// `encapsulation` of a pool and of `defaults`: what the two say together.
@Suite struct EncapsulationKeyTests {
  /// The encapsulation of the pool of web servers, which must come back as it is from what `config show` shows.
  private func encapsulation(defaults: String, pool: String) throws -> Encapsulation {
    let text =
      goodText
      .replacingFirst(
        "encapsulation: { type: ipip, source4: 10.255.0.0/16 }", with: "encapsulation: \(defaults)"
      )
      .replacingFirst("encapsulation: { source6: \"fd00:255::/64\" }", with: "encapsulation: \(pool)")
    let report = parse(text)
    let configuration = try #require(report.configuration, "\(report.rendered())")
    let shown = describe(configuration).replacingFirst(
      "\"***************** masked *****************\"", with: "'\(configuration.node.hashSeed)'")
    #expect(parse(shown).configuration == configuration, "\(shown)")
    return try #require(configuration.desired.pool(named: "web")?.encapsulation)
  }

  private static let combinations: [(defaults: String, pool: String, Encapsulation)] = [
    ("{}", "{}", Encapsulation()),
    ("{}", "{ type: gue }", Encapsulation(kind: .gue, variant: .direct, port: 6080)),
    ("{}", "{ type: gue, variant: 0, port: 7000 }", Encapsulation(kind: .gue, variant: .header, port: 7000)),
    ("{}", "{ type: fou }", Encapsulation(kind: .fou, port: 5555, port6: 5556)),
    ("{}", "{ type: fou, port6: 5555 }", Encapsulation(kind: .fou, port: 5555, port6: 5555)),
    ("{}", "{ type: gre }", Encapsulation(kind: .gre)),
    ("{ source4: 10.255.0.0/16 }", "{ type: l2 }", Encapsulation(kind: .l2)),
    ("{ type: l2 }", "{}", Encapsulation(kind: .l2)),
    ("{ type: gue, variant: 0, port: 7000 }", "{}", Encapsulation(kind: .gue, variant: .header, port: 7000)),
    (
      "{ type: gue, variant: 0, port: 7000 }", "{ port: 7001 }",
      Encapsulation(kind: .gue, variant: .header, port: 7001)
    ),
    (
      "{ type: gue, port: 7000 }", "{ type: gue, variant: 0 }",
      Encapsulation(kind: .gue, variant: .header, port: 7000)
    ),
    ("{ type: gue, variant: 0, port: 7000 }", "{ type: fou }", Encapsulation(kind: .fou)),
    ("{ type: gue, variant: 0, port: 7000 }", "{ type: ipip }", Encapsulation()),
    (
      "{ type: fou, port: 7000, source4: 10.255.0.0/16 }", "{ type: gre }",
      Encapsulation(kind: .gre, source4: IPPrefix("10.255.0.0/16"))
    ),
  ]

  @Test("keys of a type are inherited by pools of that type", arguments: combinations)
  func inherited(_ defaults: String, _ pool: String, _ expected: Encapsulation) throws {
    #expect(try encapsulation(defaults: defaults, pool: pool) == expected)
  }

  /// The mistakes of a configuration whose defaults have this encapsulation.
  private func mistakes(_ encapsulation: String, nextHop: String = "auto") -> [String] {
    parse(
      goodText.replacingFirst("encapsulation: { type: ipip, source4: 10.255.0.0/16 }", with: encapsulation)
        .replacingFirst("encapsulation: { source6: \"fd00:255::/64\" }", with: "")
        .replacingFirst("next_hop: auto", with: "next_hop: \(nextHop)")
    ).errors.map { "\($0.line):\($0.column) \($0.message)" }
  }

  @Test(
    "l2 has no other key",
    arguments: ["variant: 1", "port: 1", "port6: 1", "source4: auto", "source6: \"fd00::/64\""])
  func keysOfL2(_ key: String) throws {
    let found = mistakes("encapsulation: { type: l2, \(key) }")
    #expect(found.count == 1 && found[0].hasSuffix(", not of type l2"), "\(found)")
    #expect(found[0].contains("\"\(key.prefix { $0 != ":" })\" is a key of encapsulations of type "))
  }

  @Test("l2 needs each backend's own next hop")
  func nextHop() throws {
    #expect(mistakes("encapsulation: { type: l2 }").isEmpty)
    for nextHop in ["10.0.2.1", "02:00:00:00:00:01"] {
      let found = mistakes("encapsulation: { type: l2 }", nextHop: "\"\(nextHop)\"")
      #expect(
        found.count == 1 && found[0].contains("but interfaces[0].next_hop names one next hop for all"),
        "\(found)")
    }
  }

  @Test("the reason names the type that a key belongs to")
  func reason() throws {
    let report = parse(goodText.replacingFirst("type: ipip, ", with: "type: gre, port6: 5556, "))
    let message = try #require(report.errors.first?.message)
    #expect(message == "\"port6\" is a key of encapsulations of type fou, not of type gre")
  }
}
