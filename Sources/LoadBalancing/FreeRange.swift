// SPDX-License-Identifier: Apache-2.0

/// The start of the first run of `count` free places below `limit`, given the runs in use; nil where none is left.
func firstFree(_ count: Int, from start: Int = 0, below limit: Int, used: [Range<Int>]) -> Int? {
  var candidate = start
  for range in used.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
    if range.lowerBound - candidate >= count { break }
    candidate = max(candidate, range.upperBound)
  }
  return candidate + count <= limit ? candidate : nil
}
