// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Foundation
import LoadBalancing
import Testing

@Suite struct FuzzTests {
  /// Whatever the text: no crash, a configuration or an error, and every place inside its file.
  @Test func mutations() {
    var random = SplitMix(state: 42)
    let start = Array(goodText.unicodeScalars)
    let spice = Array("{}[]:,-?*&!|>'\"%@`#~<\t \n\r\\\u{0}\u{7F}\u{FEFF}\u{E000}é０".unicodeScalars)
    let words = [
      "<<: *a\n", "&a ", "*a", "!!int ", "? ", "- ", "hash: ", "\"", "null", "...\n", "---\n", "%YAML 1.1\n",
      "version: 1\n",
      "  ", "18446744073709551616", "::", "0.0.0.0/0", "0/tcp", "any/udp", "-1",
      "    check: { type: udp, send: x }\n", "check: ", "web", "pools:\n",
      "\"\\u0000\"", "|\n",
    ].map { Array($0.unicodeScalars) }
    for round in 0..<20_000 {
      var text = start
      for _ in 0...Int.random(in: 0..<4, using: &random) {
        let at = Int.random(in: 0..<text.count, using: &random)
        let end = min(text.count, at + Int.random(in: 0..<12, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: text[at] = random.pick(spice)
        case 1: text.insert(random.pick(spice), at: at)
        case 2: text.removeSubrange(at..<end)
        case 3: text.insert(contentsOf: random.pick(words), at: at)
        case 4: text.insert(contentsOf: text[at..<end], at: Int.random(in: 0..<text.count, using: &random))
        default: if round % 7 == 0 { text.removeSubrange(at...) }
        }
        if text.isEmpty { text = ["x"] }
      }
      var view = String.UnicodeScalarView()
      view.append(contentsOf: text)
      guard isSound(String(view)) else {
        Issue.record("round \(round):\n\(String(view))\n\(parse(String(view)).rendered())")
        return
      }
    }
  }

  private func isSound(_ text: String) -> Bool {
    let report = parse(text)
    let lines = text.replacing("\r\n", with: "\n").split(
      omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r" || $0 == "\r\n" })
    return (report.configuration == nil) == !report.errors.isEmpty
      && report.diagnostics.allSatisfy { diagnostic in
        lines.indices.contains(diagnostic.line - 1) && diagnostic.endColumn > diagnostic.column
          && (1...(lines[diagnostic.line - 1].unicodeScalars.count + 1)).contains(diagnostic.column)
          && !diagnostic.rendered().isEmpty
      }
  }
}
