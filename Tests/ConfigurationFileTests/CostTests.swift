// SPDX-License-Identifier: Apache-2.0
import Foundation
import LoadBalancing
import Testing

@testable import ConfigurationFile

/// What a text costs to read grows in proportion to its length, and reports are bounded. Steps are counted, because times
/// differ from machine to machine.
@Suite struct CostTests {
  private static let head = "version: 1\ninterfaces: [{ name: eth0 }]\nhash_seed: a secret of the tests\n"

  private struct Input: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: @Sendable (Int) -> String

    init(_ description: String, _ text: @escaping @Sendable (Int) -> String) {
      testDescription = description
      self.text = text
    }
  }

  private static func lines(_ count: Int, _ line: (Int) -> String) -> String {
    (0..<count).map(line).joined()
  }

  private static let inputs = [
    Input("equal keys") { "pools:\n" + lines($0) { _ in " a: 1\n" } },
    Input("unknown keys") { lines($0) { "key\($0): 1\n" } },
    Input("a list in one line") { "services: [" + lines($0) { _ in "a," } + "]\n" },
    Input("a list of lines") { "services:\n" + lines($0) { _ in "- a\n" } },
    Input("anchors in one line") { "x: [" + lines($0) { "&a\($0) b," } + "]\n" },
    Input("unknown aliases") { "x: [" + lines($0) { "*a\($0)," } + "]\n" },
    Input("control characters in one line") { "x: \"" + lines($0) { _ in "\u{1}" } + "\"\n" },
    Input("a long key above many") {
      "pools:\n  ? \(String(repeating: "k", count: $0))\n  :\n" + lines($0) { "    k\($0): 1\n" }
    },
    Input("services of unknown pools") {
      "services:\n"
        + lines($0) {
          "- { name: s\($0), vips: [10.0.\($0 / 250).\($0 % 250)], ports: [1/tcp], pool: p\($0) }\n"
        }
    },
    Input("backends") {
      "pools:\n  w:\n    table_size: 1048573\n    backends:\n"
        + lines($0) { "    - { name: b\($0), address: 10.1.\($0 / 250).\($0 % 250 + 1) }\n" }
    },
  ]

  @Test(arguments: inputs) private func `steps grow in proportion`(input: Input) {
    let (small, large) = (1000, 4000)
    let first = parse(Self.head + input.text(small))
    let second = parse(Self.head + input.text(large))
    // A bounded part, such as the search for nearest matches, may be larger than proportional.
    #expect(
      second.steps <= 4 * first.steps + first.steps / 5 + 5000, "\(first.steps) and \(second.steps) steps")
    #expect(second.diagnostics.count <= 200)
    #expect(second.rendered().utf8.count < 400_000)
  }

  @Test func `a report has the first hundred and counts the others`() {
    let report = parse(Self.head + Self.lines(5000) { "key\($0): 1\n" })
    #expect(report.errors.count == 100)
    #expect(report.errorCount == 5000)
    #expect(report.rendered().hasSuffix("\n… and 4900 more\n5000 errors"))
    #expect(report.machineForm.more == 4900)
    #expect(report.errors.first?.line == 4 && report.errors.last?.line == 103)
  }

  @Test func `equal keys are reported however many they are`() {
    let report = parse(Self.head + "pools:\n" + Self.lines(60_000) { _ in " a: {}\n" })
    #expect(report.errorCount == 59_999)
    #expect(report.errors.allSatisfy { $0.code == .duplicateKey && $0.related?.line == 5 })
  }

  @Test func `pools far beyond the limit are counted, and no service misses one`() {
    let report = parse(
      Self.head
        + "defaults: { table_size: 1009 }\nservices: [{ name: s, vips: [192.0.2.1], ports: [1/tcp], pool: p9999 }]\npools:\n"
        + Self.lines(10_000) { "  p\($0):\n" })
    #expect(report.errors.map(\.code) == [.limitExceeded])
    #expect(report.errors.first?.message == "10000 pools are needed; limits.pools is 256")
  }

  @Test func `values are bounded`() {
    let report = parse(Self.head + "services: [" + Self.lines(262_144) { _ in "a," } + "]\n")
    #expect(report.errors.map(\.code) == [.tooLarge])
  }

  @Test func `texts in messages are short`() {
    let report = parse(Self.head + "node: { name: \(String(repeating: "x", count: 100_000)) }\n")
    #expect(report.errors.map(\.code) == [.invalidName])
    #expect(report.rendered().utf8.count < 5000)
  }

  @Test func `differences of many backends take one pass`() throws {
    func text(_ weight: Int) -> String {
      Self.head + "limits: { slots: 4000000 }\npools:\n  w:\n    table_size: 1048573\n    backends:\n"
        + Self.lines(4000) {
          "    - { name: b\($0), address: 10.1.\($0 / 250).\($0 % 250 + 1), weight: \(weight) }\n"
        }
    }
    let old = try #require(parse(text(1)).configuration)
    let new = try #require(parse(text(2)).configuration)
    #expect(differences(from: old, to: new).count == 4000)
  }
}
