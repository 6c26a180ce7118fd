// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

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
}
