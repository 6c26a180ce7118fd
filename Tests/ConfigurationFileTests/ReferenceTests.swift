// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import ConfigurationFile

/// What derives from the key table: the reference pages, and that the table agrees with the reader.
@Suite struct ReferenceTests {
  /// Whether stale pages are written anew rather than reported: `SLUICE_REGENERATE=1`.
  private let regenerates = ProcessInfo.processInfo.environment["SLUICE_REGENERATE"] != nil

  private func expectCurrent(_ path: String, _ text: (String) -> String) throws {
    let file = repository.appending(path: path)
    let page = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    let current = text(page)
    if regenerates {
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(current.utf8).write(to: file)
    } else {
      let isCurrent = page == current
      #expect(isCurrent, "\(path) is stale: run SLUICE_REGENERATE=1 swift test --filter ReferenceTests")
    }
  }

  @Test func `the reference tables are those of the key table`() throws {
    try expectCurrent("docs/configuration.md", ConfigurationReference.updated)
  }

  @Test func `the manual page is that of the key table`() throws {
    try expectCurrent("docs/man/sluice.yaml.5") { _ in ConfigurationReference.manualPage }
  }

  @Test func `every table stands in the page`() throws {
    let page = try String(contentsOf: repository.appending(path: "docs/configuration.md"), encoding: .utf8)
    for part in ConfigurationReference.parts {
      #expect(page.contains("<!-- keys: \(part.name) -->\n"), "\(part.name)")
    }
  }

  @Test(arguments: ProbeType.allCases)
  func `the page on health says what each type of probe does`(type: ProbeType) throws {
    let page = try String(contentsOf: repository.appending(path: "docs/health.md"), encoding: .utf8)
    let rows = page.split(separator: "| type | sends | passes |")[1].prefix { $0 != "#" }
      .split(separator: "\n").filter { $0.hasPrefix("| `") }
    #expect(rows.contains { $0.split(separator: "|")[0].contains("`\(type.rawValue)`") })
  }

  private static let minimal = """
    version: 1
    interfaces: [{ name: eth0 }]
    hash_seed: a secret of the tests
    pools: { web: { check: TYPE, backends: [{ name: b, address: 10.0.0.1 }] } }
    services: [{ name: w, vips: [192.0.2.1], ports: [80/tcp, 53/udp], pool: web }]
    """

  /// The effective values of a configuration that sets nothing that it need not set, by key.
  private func effective(check: String) throws -> [String: String] {
    let configuration = try #require(
      parse(Self.minimal.replacingFirst("TYPE", with: check)).configuration)
    let pool = try #require(configuration.desired.pools.first)
    let leaves =
      nodeSettings(configuration.node).leaves()
      + packetSettings(configuration.desired.packets).leaves(below: "packets")
      + poolSettings(pool, isWhole: true).leaves(below: "pools.NAME")
      + serviceSettings("w", configuration.desired.services).leaves(below: "services[0]")
    return Dictionary(
      leaves.map { ($0.key.replacing("[0]", with: "[]"), $0.value.bare) },
      uniquingKeysWith: { first, _ in first })
  }

  @Test(arguments: [
    "{ type: tcp }", "{ type: https }", "{ type: dns, query: a }", "{ type: udp, send: x }", "{ type: icmp }",
  ])
  func `defaults of the table are what a configuration without the keys has`(check: String) throws {
    let effective = try effective(check: check)
    for part in ConfigurationReference.parts where part.name != "main" {
      for key in part.keys {
        for (name, key) in ConfigurationReference.listed(key, in: part) {
          guard case .value(let text) = key.fallback, let value = effective["\(part.path).\(name)"] else {
            continue
          }
          let normal = text == "60s" ? "1m" : text
          #expect(value == normal, "\(part.path).\(name)")
        }
      }
    }
    #expect(effective.count > 30)
  }

  /// Bounds that other modules repeat.
  @Test func `the table has the bounds of the types`() {
    guard case .integer(let weights) = KeyTable.backend.key("weight")?.type else {
      Issue.record("weight is no number")
      return
    }
    #expect(weights == BackendOverride.weights)
  }

  @Test func `each key has a meaning, and names are unique in their section`() {
    func check(_ section: KeySection) {
      #expect(Set(section.keys.map(\.name)).count == section.keys.count)
      for key in section.keys {
        #expect(key.meaning.hasSuffix(".") || key.meaning.hasSuffix(")."), "\(section.noun).\(key.name)")
        #expect(!key.meaning.contains("|") && !key.meaning.contains("\n"), "\(section.noun).\(key.name)")
        if let inner = key.type.section { check(inner) }
      }
    }
    check(KeyTable.main)
  }
}
