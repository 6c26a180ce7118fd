// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import sluice

@Suite struct TableTests {
  private func table(_ rows: [[String]]) -> Table {
    var table = Table([("NAME", .left), ("PACKETS", .right), ("NOTE", .left)])
    table.rows = rows
    return table
  }

  @Test func `text stands left, numbers right, and no line ends in spaces`() {
    #expect(
      table([["a", "1", ""], ["longer", "1234567890", "x"]]).rendered() == """
        NAME       PACKETS  NOTE
        a                1
        longer  1234567890  x
        """)
  }

  @Test func `wide characters and combining marks keep the columns`() {
    #expect(
      table([["負荷", "1", "x"], ["e\u{301}🎉", "22", "y"], ["abcd", "3", "z"]]).rendered(headers: false) == """
        負荷   1  x
        e\u{301}🎉   22  y
        abcd   3  z
        """)
  }

  @Test func `without rows there are the headers or nothing`() {
    #expect(table([]).rendered() == "NAME  PACKETS  NOTE")
    #expect(table([]).rendered(headers: false).isEmpty)
  }

  @Test func `a cell cannot break the line or command the terminal`() {
    #expect(
      table([["a\nb", "1", "\u{1B}[31m"]]).rendered(headers: false) == #"a\u{A}b  1  \u{1B}[31m"#)
  }
}

@Suite struct TextTests {
  @Test(arguments: [
    (0, "0.0 %"), (0.12301, "12.3 %"), (1, "100.0 %"), (0.99999, "100.0 %"), (0.00049, "0.0 %"),
  ])
  func `shares have one decimal`(ratio: Double, text: String) { #expect(percent(ratio) == text) }

  @Test(arguments: [
    (0, "0s"), (59.9, "59s"), (315, "5m15s"), (11_530, "3h12m"), (90_000, "1d1h"), (-3, "0s"),
  ])
  func `times are short`(seconds: Double, text: String) { #expect(duration(seconds) == text) }

  @Test func `control and direction characters are shown`() {
    #expect(visible("a\u{7}\u{9B}\u{202E}b\n") == #"a\u{7}\u{9B}\u{202E}b\u{A}"#)
    #expect(visible("a\nb\r", keeping: "\n") == "a\nb\\u{D}")
  }

  @Test func `JSON is indented and otherwise untouched`() {
    let text = #"{"a":[],"b":{},"c":[1.50,18446744073709551615,"x\",{\\"],"d":null, "e":{"f":true}}"#
    #expect(
      indentedJSON(Array(text.utf8)) == #"""
        {
          "a": [],
          "b": {},
          "c": [
            1.50,
            18446744073709551615,
            "x\",{\\"
          ],
          "d": null,
          "e": {
            "f": true
          }
        }
        """#)
  }

  @Test func `names in paths are escaped`() throws {
    #expect(try BackendName("we b/ö?").path == "/v1/pools/we%20b/backends/%C3%B6%3F")
  }

  @Test(arguments: ["web", "/web1", "web/", "a/b/c", ""])
  func `names of backends have two parts`(name: String) {
    #expect(throws: (any Error).self) { try BackendName(name) }
  }
}
