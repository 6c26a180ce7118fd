// SPDX-License-Identifier: Apache-2.0

/// Which places of a limited row are in use: numbers, slots, counters.
struct Occupancy {
  /// Sorted, with a gap between any two.
  private var runs: [Range<Int>] = []
  private let limit: Int
  private let first: Int

  /// - Parameters:
  ///   - used: may overlap.
  ///   - limit: how many places the row has.
  ///   - first: the first place.
  init(_ used: some Sequence<Range<Int>>, limit: Int, from first: Int = 0) {
    self.limit = limit
    self.first = first
    for run in used.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = runs.last, run.lowerBound <= last.upperBound {
        runs[runs.count - 1] = last.lowerBound..<max(last.upperBound, run.upperBound)
      } else {
        runs.append(run)
      }
    }
  }

  /// Single places.
  init(places: some Sequence<Int>, limit: Int, from first: Int = 0) {
    self.limit = limit
    self.first = first
    // Marked rather than sorted: there may be many.
    var isUsed: [Bool] = []
    for place in places {
      if place >= isUsed.count {
        isUsed.append(contentsOf: repeatElement(false, count: place + 1 - isUsed.count))
      }
      isUsed[place] = true
    }
    var start: Int?
    for place in 0...isUsed.count {
      let isUsed = place < isUsed.count && isUsed[place]
      if let begin = start, !isUsed {
        runs.append(begin..<place)
        start = nil
      } else if start == nil, isUsed {
        start = place
      }
    }
  }

  /// Places in use.
  var count: Int { runs.reduce(0) { $0 + $1.count } }

  /// Takes the first run of `count` places that are free.
  /// - Throws: ``PlanError`` that says how many places of `what` would be needed.
  mutating func take(_ count: Int, of what: String) throws(PlanError) -> Range<Int> {
    var start = first
    var index = 0
    while index < runs.count, runs[index].lowerBound - start < count {
      start = runs[index].upperBound
      index += 1
    }
    let taken = start..<(start + count)
    guard taken.upperBound - first <= limit else {
      throw .limitExceeded(
        what: what, limit: limit, needed: max(self.count + count, taken.upperBound - first))
    }
    insert(taken, at: index)
    return taken
  }

  /// Takes the first free place.
  mutating func take(of what: String) throws(PlanError) -> Int { try take(1, of: what).lowerBound }

  /// Gives back places that are all in use.
  mutating func free(_ run: Range<Int>) {
    guard let index = runs.firstIndex(where: { $0.upperBound >= run.upperBound }) else { return }
    let around = runs[index]
    let rest = [around.lowerBound..<run.lowerBound, run.upperBound..<around.upperBound]
    runs.replaceSubrange(index...index, with: rest.filter { !$0.isEmpty })
  }

  /// Joins `taken` with the runs that it touches; `index` is where it belongs among them.
  private mutating func insert(_ taken: Range<Int>, at index: Int) {
    var joined = taken
    if index < runs.count, runs[index].lowerBound == joined.upperBound {
      joined = joined.lowerBound..<runs[index].upperBound
      runs.remove(at: index)
    }
    if index > 0, runs[index - 1].upperBound == joined.lowerBound {
      runs[index - 1] = runs[index - 1].lowerBound..<joined.upperBound
    } else {
      runs.insert(joined, at: index)
    }
  }
}
