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

  @Test("the reason names the type that a key belongs to")
  func reason() throws {
    let report = parse(goodText.replacingFirst("type: ipip, ", with: "type: gre, port6: 5556, "))
    let message = try #require(report.errors.first?.message)
    #expect(message == "\"port6\" is a key of encapsulations of type fou, not of type gre")
  }
}
