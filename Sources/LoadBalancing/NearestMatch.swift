// SPDX-License-Identifier: Apache-2.0

/// Characters of the longest word that a nearest match is looked for: no name is longer (``isObjectName(_:)``), and
/// the work must not grow with what a client sends.
public let longestMatchedWord = 63

/// Steps of the search, each of which compares two characters. What is not found by then is not suggested.
private let mostComparisons = 200_000

/// The candidate a mistyped word most likely means: the one with the smallest edit distance, if that is at most a
/// third of the longer word (at least 1); nil otherwise. Ties go to the first.
///
/// The search ends after a fixed amount of work.
/// - Parameter longest: octets of a word above which it matches nothing.
public func nearestMatch(
  to word: String, among candidates: some Sequence<String>, longest: Int = longestMatchedWord
) -> String? {
  var comparisons = 0
  return nearestMatch(to: word, among: candidates, longest: longest, comparisons: &comparisons)
}

/// - Parameter comparisons: is set to the steps that the search took.
func nearestMatch(
  to word: String, among candidates: some Sequence<String>, longest: Int, comparisons: inout Int
) -> String? {
  guard word.utf8.count <= longest else { return nil }
  let wanted = Array(word.utf8)
  var best: (candidate: String, distance: Int)?
  for candidate in candidates {
    guard candidate.utf8.count <= longest else { continue }
    let longer = max(word.count, candidate.count)
    var limit = max(1, longer / 3)
    if let best { limit = min(limit, best.distance - 1) }
    guard limit >= 0 else { break }
    guard abs(wanted.count - candidate.utf8.count) <= limit else { continue }
    comparisons += wanted.count * min(candidate.utf8.count, 2 * limit + 1)
    guard comparisons <= mostComparisons else { break }
    let distance = editDistance(wanted, Array(candidate.utf8), limit: limit)
    if distance <= limit { best = (candidate, distance) }
  }
  return best?.candidate
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (optimal string alignment distance).
func editDistance(_ left: String, _ right: String) -> Int {
  let (left, right) = (Array(left.utf8), Array(right.utf8))
  return editDistance(left, right, limit: max(left.count, right.count))
}

/// The distance, or a number above `limit` where it is larger than that. Compares only what is at most `limit` apart.
private func editDistance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int {
  let above = limit + 1
  var beforeLast = [Int](repeating: above, count: b.count + 1)
  var last = (0...b.count).map { min($0, above) }
  for i in 0..<a.count {
    var row = [Int](repeating: above, count: b.count + 1)
    row[0] = min(i + 1, above)
    for j in max(0, i - limit)..<max(max(0, i - limit), min(b.count, i + limit + 1)) {
      var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row[j + 1] = min(cost, above)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
