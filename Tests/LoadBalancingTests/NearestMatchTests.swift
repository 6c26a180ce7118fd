// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LoadBalancing

@Suite("Nearest match")
struct NearestMatchTests {
  @Test(
    "The word that is meant",
    arguments: [
      ("poool", "pool"), ("pol", "pool"), ("opol", "pool"), ("pool", "pool"), ("servces", "services"),
      ("wieght", "weight"), ("x", nil), ("", nil), ("something", nil), ("backend-17", "backend-1"),
    ] as [(String, String?)])
  func match(word: String, expected: String?) {
    #expect(
      nearestMatch(to: word, among: ["pool", "services", "weight", "backend-1", "backend-2"]) == expected)
  }

  @Test("Nothing is near where there is nothing")
  func nothing() { #expect(nearestMatch(to: "pool", among: [String]()) == nil) }

  @Test("Of two equally near the first")
  func tie() { #expect(nearestMatch(to: "b3", among: ["b2", "b1"]) == "b2") }

  @Test("The work has a limit, whatever is asked for", arguments: [8, 63, 64, 1000, 15_000, 1_000_000])
  func work(length: Int) {
    let word = String(repeating: "a", count: length)
    for candidate in [word, String(repeating: "ab", count: length / 2), "backend-number-1"] {
      var comparisons = 0
      // One after the other, and fewer of long ones: 20,000 candidates of a megabyte are 20 GB.
      let candidates = (0..<min(20_000, 20_000_000 / length)).lazy.map { "\(candidate)\($0)" }
      _ = nearestMatch(to: word, among: candidates, longest: longestMatchedWord, comparisons: &comparisons)
      #expect(comparisons <= 210_000)
    }
  }

  @Test("A word longer than any name matches nothing")
  func long() {
    let name = String(repeating: "a", count: 63)
    #expect(
      nearestMatch(to: name, among: ["b", String(name.dropLast()) + "b"]) == String(name.dropLast()) + "b")
    #expect(nearestMatch(to: name + "a", among: [name]) == nil)
    #expect(nearestMatch(to: name, among: [name + "a"]) == nil)
    #expect(nearestMatch(to: name + "a", among: [name], longest: 192) == name)
  }
}
