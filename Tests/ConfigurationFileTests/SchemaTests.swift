// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import Testing

/// The JSON Schema against the loader.
@Suite struct SchemaTests {
  private let schema: [String: Any]

  init() throws {
    schema = try #require(
      JSONSerialization.jsonObject(with: Data(configurationSchema.utf8)) as? [String: Any])
  }

  /// An unknown key put before `part` makes the loader name all that it knows there.
  @Test(arguments: [
    ("version: 1\n", []), ("name: lb1", ["properties", "node"]),
    ("name: eth0", ["properties", "interfaces", "items"]),
    ("encapsulation: { type", ["properties", "defaults"]), ("type: ipip", ["$defs", "encapsulation"]),
    ("learn: 2h", ["$defs", "affinity"]), ("services: 64", ["properties", "limits"]),
    ("socket: /run/sluice/control", ["properties", "control"]),
    ("socket: /run/sluice/status", ["properties", "status"]), ("pins: ", ["properties", "paths"]),
    ("hash: flow", ["$defs", "pool"]), ("timeout: 20m", ["$defs", "drain"]),
    ("name: web1", ["$defs", "pool", "properties", "backends", "items"]),
    ("name: web\n", ["$defs", "service"]),
  ])
  func keys(before part: String, of path: [String]) throws {
    var object = schema
    for key in path {
      object = try #require((object[key] ?? (object["properties"] as? [String: Any])?[key]) as? [String: Any])
    }
    let properties = try #require(object["properties"] as? [String: Any])
    let inFlow = !part.hasSuffix("\n") && !part.hasPrefix("hash") && !part.hasPrefix("encapsulation")
    let indent =
      part.hasPrefix("name: web\n") || part.hasPrefix("hash") ? "    " : part.hasPrefix("enc") ? "  " : ""
    let extra = inFlow ? "zzzzzz: 1, " : "zzzzzz: 1\n\(indent)"
    let text = goodText.replacingFirst(part, with: extra + part)
    let error = try #require(parse(text).errors.first { $0.code == .unknownKey }, "\(parse(text).rendered())")
    #expect(Set(error.expected) == Set(properties.keys))
    #expect(object["additionalProperties"] as? Bool == false)
  }

  @Test(arguments: [
    ("check: { type: tcp, zzzzzz: 1 }", ["check"]), ("guard: { zzzzzz: 1 }", ["guard"]),
    ("check: { type: tcp, damping: { zzzzzz: 1 } }", ["check", "damping"]),
  ])
  func keysOfHealth(text: String, of path: [String]) throws {
    var object = try #require(schema["$defs"] as? [String: Any])
    for key in path {
      object = try #require((object[key] ?? (object["properties"] as? [String: Any])?[key]) as? [String: Any])
    }
    let properties = try #require(object["properties"] as? [String: Any])
    let report = parse(goodText.replacingFirst("hash: flow\n", with: "hash: flow\n    \(text)\n"))
    let error = try #require(report.errors.first { $0.code == .unknownKey }, "\(report.rendered())")
    #expect(Set(error.expected) == Set(properties.keys))
    #expect(object["additionalProperties"] as? Bool == false)
    for (key, value) in properties where path == ["check"] {
      #expect((value as? [String: Any])?["description"] as? String != nil, "\(key) is not described")
    }
  }

  @Test func keysOfPackets() throws {
    let top = try #require(schema["properties"] as? [String: Any])
    let object = try #require(top["packets"] as? [String: Any])
    let properties = try #require(object["properties"] as? [String: Any])
    let report = parse(goodText.replacingFirst("limits:", with: "packets: { zzzzzz: 1 }\nlimits:"))
    let error = try #require(report.errors.first { $0.code == .unknownKey }, "\(report.rendered())")
    #expect(Set(error.expected) == Set(properties.keys))
    #expect(object["additionalProperties"] as? Bool == false)
  }

  @Test func referencesLeadSomewhere() throws {
    let definitions = try #require(schema["$defs"] as? [String: Any])
    let references = configurationSchema.split(separator: "\"").filter { $0.hasPrefix("#/$defs/") }
    #expect(references.count > 20)
    for reference in references {
      #expect(definitions[String(reference.dropFirst(8))] != nil, "\(reference)")
    }
  }
}
