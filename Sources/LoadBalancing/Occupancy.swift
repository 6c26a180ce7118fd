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

  private var end: Int { first + limit }

  /// Runs of free places, in their order.
  var gaps: [Range<Int>] {
    var gaps: [Range<Int>] = []
    var start = first
    for run in runs {
      if start < min(run.lowerBound, end) { gaps.append(start..<min(run.lowerBound, end)) }
      start = max(start, run.upperBound)
    }
    if start < end { gaps.append(start..<end) }
    return gaps
  }

  /// The longest run of free places; empty if no place is free.
  var largestGap: Range<Int> { gaps.max { $0.count < $1.count } ?? first..<first }

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
    guard taken.upperBound <= end else { throw shortage(of: count, what) }
    insert(taken, at: index)
    return taken
  }

  private func shortage(of count: Int, _ what: String) -> PlanError {
    guard self.count + count <= limit else {
      return .limitExceeded(what: what, limit: limit, needed: self.count + count)
    }
    return .fragmented(
      what: what, limit: limit, needed: count, free: gaps.reduce(0) { $0 + $1.count },
      largest: largestGap.count)
  }

  /// Takes a run of `count` places that are free, such that `reserve` places in one piece stay free.
  /// - Parameter leaving: places that become free for it.
  /// - Returns: nil if there is no such run.
  mutating func take(_ count: Int, keeping reserve: Int, leaving: Range<Int>?) -> Range<Int>? {
    let gaps = gaps
    let large = gaps.count { $0.count >= reserve }
    for gap in gaps where gap.count >= count {
      let isReserve = gap.count >= reserve
      let keeps = gap.count - count >= reserve || large > (isReserve ? 1 : 0)
      for taken in [gap.lowerBound..<(gap.lowerBound + count), (gap.upperBound - count)..<gap.upperBound] {
        var after = self
        after.take(taken)
        if keeps {
          self = after
          return taken
        }
        guard let leaving else { continue }
        var later = after
        later.free(leaving)
        if later.largestGap.count >= reserve {
          self = after
          return taken
        }
      }
    }
    return nil
  }

  /// Takes places that are all free.
  mutating func take(_ run: Range<Int>) {
    insert(run, at: runs.firstIndex { $0.lowerBound >= run.upperBound } ?? runs.count)
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
