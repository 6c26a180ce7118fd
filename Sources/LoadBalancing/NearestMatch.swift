// SPDX-License-Identifier: Apache-2.0

/// The candidate a mistyped word most likely means: the one with the smallest edit distance, if that is at most a
/// third of the longer word (at least 1); nil otherwise. Ties go to the first.
public func nearestMatch(to word: String, among candidates: some Sequence<String>) -> String? {
  let best = candidates.map { ($0, editDistance(word, $0)) }.min { $0.1 < $1.1 }
  guard let best, best.1 <= max(1, max(word.count, best.0.count) / 3) else { return nil }
  return best.0
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (optimal string alignment distance).
func editDistance(_ left: String, _ right: String) -> Int {
  let a = Array(left.utf8)
  let b = Array(right.utf8)
  var rows = [Array(0...b.count)]
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var cost = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, rows[i - 1][j - 1] + 1) }
      row.append(cost)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}
