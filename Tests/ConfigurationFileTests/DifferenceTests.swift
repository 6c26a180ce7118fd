// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

/// Every key of the schema, changed alone, is told with its old and its new value.
@Suite struct DifferenceTests {
  /// One key of the schema with two values.
  private struct Key {
    /// As in the schema: `pools.*.check.path`.
    let path: String
    /// JSON texts.
    let old: String
    let new: String
    /// What is told; nil: the last part of the path and both values.
    let told: String?
    /// What must be beside the key: JSON texts by path.
    let with: [String: String]

    init(_ path: String, _ old: String, _ new: String, told: String? = nil, with: [String: String] = [:]) {
      self.path = path
      self.old = old
      self.new = new
      self.told = told
      self.with = with
    }
  }

  private static func check(
    _ key: String, _ old: String, _ new: String, type: String = "tcp", told: String? = nil,
    with: [String: String] = [:]
  ) -> Key {
    var beside = with.reduce(into: [:]) { $0["pools.*.check.\($1.key)"] = $1.value }
    if key != "type" { beside["pools.*.check.type"] = "\"\(type)\"" }
    return Key(
      "pools.*.check.\(key)", old, new, told: told.map { "pool web check.\($0)" }, with: beside)
  }

  private static let keys: [Key] = node + pools + checks + services

  private static let node = [
    Key("node.name", #""lb1""#, #""lb2""#), Key("interfaces[].name", #""eth0""#, #""eth1""#),
    Key("interfaces[].mode", #""auto""#, #""native""#),
    Key("interfaces[].next_hop", #""auto""#, #""10.0.0.1""#),
    Key(
      "hash_seed", #""0123456789abcdef""#, #""another secret text""#,
      told: "hash_seed (a secret) -> (another secret)"),
    Key("limits.services", "64", "65"), Key("limits.pools", "8", "9"), Key("limits.backends", "16", "17"),
    Key("limits.slots", "300000", "300001"), Key("limits.flows", "4096", "4097"),
    Key("limits.pairs", "128", "129"), Key("control.socket", #""/run/a.sock""#, #""/run/b.sock""#),
    Key("control.group", #""wheel""#, #""admin""#),
    Key("status.socket", #""/run/c.sock""#, #""/run/d.sock""#),
    Key("status.group", #""wheel""#, #""admin""#),
    Key("status.listen", #""127.0.0.1:9870""#, #""127.0.0.1:9871""#),
    Key("paths.pins", #""/sys/fs/bpf/a""#, #""/sys/fs/bpf/b""#),
    Key("paths.state", #""/var/lib/a""#, #""/var/lib/b""#),
    Key("packets.unserved", #""reject""#, #""drop""#), Key("packets.vip_sources", #""drop""#, #""accept""#),
  ]

  private static let pools = [
    Key("pools.*.hash", #""flow""#, #""source""#), Key("pools.*.table_size", "251", "257"),
    Key("pools.*.settle", #""2h""#, #""1h""#, with: ["defaults.affinity.learn": #""1h""#]),
    Key("pools.*.drain.timeout", #""2h""#, #""1h""#),
    Key("pools.*.drain.quiet", #""60s""#, #""30s""#, told: "pool web drain.quiet 1m -> 30s"),
    Key("pools.*.require", "0", "2"), Key("pools.*.hysteresis", "0", "2"),
    Key("pools.*.on_insufficient", #""withdraw""#, #""keep""#),
    Key("pools.*.guard.share", #""50%""#, #""20%""#), Key("pools.*.guard.interval", #""1m""#, #""2m""#),
    Key("pools.*.encapsulation.type", #""ipip""#, #""gre""#),
    Key("pools.*.encapsulation.variant", "1", "0", with: ["pools.*.encapsulation.type": #""gue""#]),
    Key("pools.*.encapsulation.port", "6080", "7000", with: ["pools.*.encapsulation.type": #""gue""#]),
    Key("pools.*.encapsulation.port6", "5556", "7000", with: ["pools.*.encapsulation.type": #""fou""#]),
    Key("pools.*.encapsulation.source4", #""10.1.0.0/16""#, #""10.2.0.0/16""#),
    Key("pools.*.encapsulation.source6", #""fd00:1::/32""#, #""fd00:2::/32""#),
    Key("pools.*.backends[].address", #""10.0.0.11""#, #""10.0.0.12""#),
    Key("pools.*.backends[].weight", "100", "50"),
    Key("pools.*.backends[].state", #""ready""#, #""drain""#),
  ]

  private static let checks = [
    check("type", #""tcp""#, #""icmp""#), check("via", #""tunnel""#, #""direct""#),
    check(
      "vips", #"["192.0.2.10"]"#, #"["192.0.2.10", "192.0.2.11"]"#,
      told: "vips [192.0.2.10] -> [192.0.2.10, 192.0.2.11]"),
    check("port", "80", "81"), check("interval", #""2s""#, #""3s""#), check("timeout", #""1s""#, #""900ms""#),
    check("rise", "2", "3"), check("fall", "3", "4"), check("fast_interval", #""1s""#, #""500ms""#),
    check("jitter", #""20%""#, #""10%""#), check("on_start", #""down""#, #""up""#),
    check("full_size", "false", "true", type: "icmp"), check("damping.hold", #""10s""#, #""20s""#),
    check("damping.limit", #""5m""#, #""6m""#), check("damping.memory", #""10m""#, #""20m""#),
    check("method", #""GET""#, #""HEAD""#, type: "http"), check("path", #""/""#, #""/up""#, type: "http"),
    check("host", #""a.example""#, #""b.example""#, type: "http"),
    check("expect", "[\"200\"]", "[\"204\"]", type: "http", told: "expect [200] -> [204]"),
    check("body", #""ok""#, #""fine""#, type: "http"),
    check("tls_verify", "true", "false", type: "https"),
    check("tls_ca", #""/etc/a.pem""#, #""/etc/b.pem""#, type: "https"),
    check("query", #""a.example""#, #""b.example""#, type: "dns"),
    check("qtype", #""A""#, #""AAAA""#, type: "dns", with: ["query": #""a.example""#]),
    check("transport", #""udp""#, #""tcp""#, type: "dns", with: ["query": #""a.example""#]),
    check("answer", #""192.0.2.1""#, #""192.0.2.2""#, type: "dns", with: ["query": #""a.example""#]),
    check("send", #""a""#, #""b""#, type: "udp"), check("send_hex", #""00""#, #""01""#, type: "udp"),
    check("reply", #""a""#, #""b""#, type: "udp", with: ["send": #""x""#]),
    check("reply_hex", #""00""#, #""01""#, type: "udp", with: ["send": #""x""#]),
  ]

  private static let services = [
    Key(
      "services[].vips", #"["192.0.2.10", "192.0.2.11"]"#, #"["192.0.2.10", "192.0.2.12"]"#,
      told: "service www vips [192.0.2.10, 192.0.2.11] -> [192.0.2.10, 192.0.2.12]"),
    Key(
      "services[].ports", #"["80/tcp", "53/udp"]"#, #"["80/tcp", "54/udp"]"#,
      told: "service www ports [80/tcp, 53/udp] -> [80/tcp, 54/udp]"),
    Key("services[].pool", #""web""#, #""other""#), Key("services[].affinity.mode", #""changes""#, #""all""#),
    Key("services[].affinity.learn", #""2h""#, #""30s""#),
    Key("services[].affinity.tcp_idle", #""2h""#, #""1h""#),
    Key(
      "services[].affinity.udp_idle", #""60s""#, #""30s""#,
      told: "service www affinity.udp_idle 1m -> 30s"),
    Key("services[].affinity.on_gone", #""rehash""#, #""reset""#),
  ]

  /// Keys that are not told as a difference, and why.
  private static let exceptions = [
    "version": "has one value", "hash_seed_file": "is told as hash_seed",
    "pools.*.backends[].name": "another name is another backend", "services[].name": "another service",
  ]

  private static let base = #"""
    {
      "version": 1, "interfaces": [{"name": "eth0"}], "hash_seed": "0123456789abcdef",
      "limits": {"services": 64, "pools": 8, "backends": 16, "slots": 300000, "flows": 4096, "pairs": 128},
      "pools": {
        "web": {"table_size": 251, "backends": [{"name": "b1", "address": "10.0.0.11"}]},
        "other": {"table_size": 251, "backends": [{"name": "b1", "address": "10.0.0.11"}]}
      },
      "services": [
        {"name": "www", "vips": ["192.0.2.10", "192.0.2.11"], "ports": ["80/tcp", "53/udp"], "pool": "web"},
        {"name": "rest", "vips": ["192.0.2.10", "192.0.2.11"], "ports": ["81/tcp", "81/udp"], "pool": "web"}
      ]
    }
    """#

  private static func configuration(_ values: [String: String]) throws -> Configuration {
    var root = try JSONSerialization.jsonObject(with: Data(base.utf8))
    for (path, text) in values.sorted(by: { $0.key < $1.key }) {
      let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
      root = set(value, at: path.split(separator: ".").flatMap(parts), in: root)
    }
    let text = String(decoding: try JSONSerialization.data(withJSONObject: root), as: UTF8.self)
    let report = parse(text)
    return try #require(report.configuration, "\(values): \(report.rendered())")
  }

  private static func parts(_ part: Substring) -> [String] {
    if part == "*" { return ["web"] }
    return part.hasSuffix("[]") ? [String(part.dropLast(2)), "[]"] : [String(part)]
  }

  private static func set(_ value: Any, at path: [String], in node: Any) -> Any {
    guard let first = path.first else { return value }
    let rest = Array(path.dropFirst())
    if first == "[]" {
      var items = node as? [Any] ?? [[String: Any]()]
      items[0] = set(value, at: rest, in: items[0])
      return items
    }
    var mapping = node as? [String: Any] ?? [:]
    mapping[first] = set(value, at: rest, in: mapping[first] ?? [String: Any]())
    return mapping
  }

  @Test func everyKeyIsToldWithBothValues() throws {
    for key in Self.keys {
      let old = try Self.configuration(key.with.merging([key.path: key.old]) { $1 })
      let new = try Self.configuration(key.with.merging([key.path: key.new]) { $1 })
      let told = differences(from: old, to: new).map(\.text)
      let bare = { (text: String) in text.replacing("\"", with: "") }
      let name = key.path.split(separator: ".").last.map(String.init) ?? ""
      let expected = key.told ?? "\(name) \(bare(key.old)) -> \(bare(key.new))"
      #expect(
        told.contains { $0 == expected || $0.hasSuffix(" \(expected)") || $0.hasSuffix(".\(expected)") },
        "\(key.path): \(told)")
      // Of a check of another type other keys are set.
      if key.path != "pools.*.check.type" { #expect(told.count == 1, "\(key.path): \(told)") }
      let isOfNode = { (difference: KeyDifference) in
        difference.object.isEmpty && !difference.key.hasPrefix("packets.")
      }
      #expect(differences(from: old, to: new).allSatisfy { $0.needsRestart == isOfNode($0) })
      #expect(differences(from: old, to: old).isEmpty)
    }
  }

  /// The list above has every key that the schema has, so that one that comes later is not forgotten.
  @Test func theListIsTheSchemas() throws {
    let schema = try #require(
      JSONSerialization.jsonObject(with: Data(configurationSchema.utf8)) as? [String: Any])
    let definitions = try #require(schema["$defs"] as? [String: Any])
    func resolve(_ node: [String: Any]) -> [String: Any] {
      guard let reference = node["$ref"] as? String else { return node }
      return definitions[String(reference.dropFirst("#/$defs/".count))] as? [String: Any] ?? [:]
    }
    func leaves(_ node: [String: Any], _ path: String) -> [String] {
      let node = resolve(node)
      let prefix = path.isEmpty ? "" : path + "."
      if let properties = node["properties"] as? [String: [String: Any]] {
        return properties.flatMap { leaves($1, prefix + $0) }
      }
      if let each = node["additionalProperties"] as? [String: Any] { return leaves(each, prefix + "*") }
      if let items = node["items"] as? [String: Any], resolve(items)["properties"] != nil {
        return leaves(items, path + "[]")
      }
      return [path]
    }
    // Defaults are told as the keys of the pools and services that they are the defaults of.
    let known = Set(leaves(schema, "").filter { !$0.hasPrefix("defaults.") })
    let listed = Self.keys.map(\.path)
    #expect(Set(listed).union(Self.exceptions.keys) == known)
    #expect(Set(listed).isDisjoint(with: Self.exceptions.keys) && Set(listed).count == listed.count)
  }

  @Test func aDefaultIsToldAsTheKeyOfEachPool() throws {
    let old = try Self.configuration([:])
    let new = try Self.configuration(["defaults.settle": #""1h""#, "defaults.affinity.mode": #""all""#])
    let told = differences(from: old, to: new).map(\.text)
    for line in [
      "pool web settle 2h -> 1h", "pool other settle 2h -> 1h", "service www affinity.mode changes -> all",
      "service rest affinity.mode changes -> all",
    ] {
      #expect(told.contains(line), "\(told)")
    }
  }

  @Test func aCheckThatGoesIsToldByItsType() throws {
    let old = try Self.configuration(["pools.*.check": #"{"type": "tcp"}"#])
    let new = try Self.configuration(["pools.*.check": #"{"type": "none"}"#])
    #expect(differences(from: old, to: new).map(\.text) == ["pool web check.type tcp -> none"])
    #expect(differences(from: new, to: old).map(\.text).contains("pool web check.interval not set -> 2s"))
  }

  @Test func theOrderOfPortsMeansNothing() throws {
    let old = try Self.configuration([:])
    let new = try Self.configuration(["services[].ports": #"["53/udp", "80/tcp"]"#])
    #expect(differences(from: old, to: new).isEmpty)
  }
}
