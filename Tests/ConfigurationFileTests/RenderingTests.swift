// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import Testing

@Suite struct RenderingTests {
  @Test func unknownKey() {
    let report = parse(goodText.replacingFirst("weight: 50", with: "wieght: 50"))
    #expect(
      report.rendered()
        == """
        sluice.yaml:23:50: error: unknown key "wieght" in backend
           23 |       - { name: web2, address: "2001:db8:1::12", wieght: 50, state: drain }
              |                                                  ^~~~~~
              = did you mean "weight"?  allowed: name, address, weight, state
        1 error
        """.replacing("        sluice", with: "sluice"))
  }

  @Test func duplicateKeyNamesBothPlaces() {
    let report = parse(goodText.replacingFirst("hash: source", with: "hash: source\n    hash: flow"))
    #expect(
      report.rendered().contains(
        """
        sluice.yaml:26:5: error: key "hash" is given twice in one mapping
           26 |     hash: flow
              |     ^~~~
              = first given at sluice.yaml:25:5
        """))
  }

  @Test func tabsAndWideTextKeepTheMarkInPlace() {
    let text = goodText.replacingFirst("node: { name: lb1 }", with: "node: {\t\"ключ\":\t1 }")
    #expect(parse(text).rendered().contains("    2 | node: {\t\"ключ\":\t1 }\n      |        \t^~~~~~\n"))
  }

  @Test func secretsAndTerminalCodesAreNotShown() {
    let tests = [
      goodText.replacingFirst("\"a secret of the tests\"", with: "hunter2hunter2hunter2, x: ["),
      goodText.replacingFirst("\"a secret of the tests\"", with: "\"hunter2\""),
      goodText.replacingFirst("\"a secret of the tests\"", with: "hunter2hunter2: hunter2hunter2"),
      goodText.replacingFirst("\"a secret of the tests\"", with: "\n  hunter2hunter2hunter2: x"),
      goodText.replacingFirst("\"a secret of the tests\"", with: "\"hunter2hunter2\u{1B}[2Jhunter2\""),
      goodText.replacingFirst("\"a secret of the tests\"", with: "*hunter2hunter2hunter2"),
      "{ hash_seed: \"hunter2 hunter2 hunter2\", nonsense: 1 }",
      "{ 'hash_seed':'hunter2 hunter2', nonsense: 1 }",
      "{ \"hash_seed\": 'hunter2', nonsense: 1 }",
    ]
    for text in tests {
      let report = parse(text)
      #expect(!report.errors.isEmpty)
      let shown = report.rendered() + report.diagnostics.map { "\($0)" }.joined()
      #expect(!shown.contains("hunter2"), "\(shown)")
      #expect(!shown.unicodeScalars.contains("\u{1B}"))
    }
  }

  @Test func everyCodeIsDocumented() throws {
    let text = try String(contentsOf: repository.appending(path: "docs/configuration.md"), encoding: .utf8)
    #expect(Diagnostic.Code.allCases.map(\.rawValue).filter { !text.contains("`\($0)`") } == [])
  }

  @Test func machineForm() throws {
    let report = parse(
      goodText.replacingFirst("weight: 50", with: "wieght: 50").replacingFirst("10.255", with: "10.0"))
    let encoded = try JSONEncoder().encode(report.machineForm)
    let object = try #require(try JSONSerialization.jsonObject(with: encoded) as? [String: [[String: Any]]])
    let error = try #require(object["errors"]?.first)
    #expect(error["code"] as? String == "unknown-key")
    #expect(error["path"] as? String == "pools.web.backends[1].wieght")
    #expect(error["file"] as? String == "sluice.yaml")
    #expect(error["line"] as? Int == 23)
    #expect(error["column"] as? Int == 50)
    #expect(error["endColumn"] as? Int == 56)
    #expect(error["suggestion"] as? String == "weight")
    #expect(object["warnings"]?.count == 1)
    #expect(
      try JSONDecoder().decode(ConfigurationReport.MachineForm.self, from: encoded) == report.machineForm)
  }
}
