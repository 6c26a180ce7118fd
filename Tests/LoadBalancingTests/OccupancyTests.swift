// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import LoadBalancing

@Suite("Occupancy")
struct OccupancyTests {
  @Test("The first run that is free is taken")
  func firstFit() throws {
    var row = Occupancy([10..<20, 0..<4, 12..<15, 4..<5, 30..<30], limit: 40)
    #expect(row.count == 15)
    #expect(try row.take(6, of: "slots") == 20..<26)
    #expect(try row.take(5, of: "slots") == 5..<10)
    #expect(try row.take(of: "slots") == 26)
    #expect(try row.take(13, of: "slots") == 27..<40)
    #expect(throws: PlanError.limitExceeded(what: "slots", limit: 40, needed: 41)) {
      try row.take(of: "slots")
    }
  }

  @Test("Numbers from 1: as many as the limit says")
  func fromOne() throws {
    var row = Occupancy(places: [1], limit: 3, from: 1)
    #expect(try row.take(of: "backends") == 2)
    #expect(try row.take(of: "backends") == 3)
    #expect(throws: PlanError.limitExceeded(what: "backends", limit: 3, needed: 4)) {
      try row.take(of: "backends")
    }
  }

  @Test("Where enough places are free but not side by side, the error says how many are")
  func fragmented() {
    var row = Occupancy([3..<6], limit: 10)
    let error = PlanError.fragmented(what: "slots", limit: 10, needed: 5, free: 7, largest: 4)
    #expect(throws: error) { try row.take(5, of: "slots") }
    #expect(
      error.description
        == "the change needs 5 slots in one piece; of the 10 of limits.slots, 7 are free, but at most 4 in one piece: "
        + "raise it by 5 in the configuration and restart")
    #expect(row.gaps == [0..<3, 6..<10] && row.largestGap == 6..<10)
  }

  @Test("A run is taken such that a reserve stays free, also with places that become free for it")
  func reserve() {
    var row = Occupancy([3..<6, 10..<12], limit: 16)
    #expect(row.take(3, keeping: 4, leaving: nil) == 0..<3)
    #expect(row.take(2, keeping: 4, leaving: nil) == 6..<8)
    #expect(row.take(2, keeping: 4, leaving: nil) == 8..<10)
    #expect(row.take(1, keeping: 4, leaving: nil) == nil)
    // What was before the gap goes to its end.
    #expect(row.take(2, keeping: 4, leaving: 10..<12) == 14..<16)
    #expect(row.take(2, keeping: 4, leaving: 3..<5) == nil)
  }

  @Test("Random rows: what is moved is moved to free places, and all free places come together")
  func gathering() throws {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<500 {
      let sizes = (0..<Int.random(in: 0...8, using: &random)).map { _ in Int.random(in: 1...9, using: &random)
      }
      let largest = sizes.max() ?? 1
      // Somewhere there is a gap that the largest fits into.
      var gaps = sizes.map { _ in Int.random(in: 0...3, using: &random) } + [0]
      gaps[Int.random(in: 0..<gaps.count, using: &random)] += largest
      var (items, end): ([(id: Int, run: Range<Int>)], Int) = ([], 0)
      for (id, size) in sizes.enumerated() {
        items.append((id, (end + gaps[id])..<(end + gaps[id] + size)))
        end += gaps[id] + size
      }
      end += gaps[sizes.count]
      var row = Occupancy(items.map(\.run), limit: end)
      let free = end - row.count
      #expect(Gathering(items, in: row, until: free + 1) == nil)
      let gathering = try #require(Gathering(items, in: row, until: free), "seed \(seed)")
      for move in gathering.moves {
        #expect(items[move.id].run == move.from && row.gaps.contains { $0.contains(move.to) }, "seed \(seed)")
        row.take(move.to)
        row.free(move.from)
        items[move.id].run = move.to
      }
      #expect(row.largestGap.count == free, "seed \(seed)")
    }
  }

  @Test("Random takings agree with a row of flags")
  func model() throws {
    let seed = freshSeed()
    var random = RandomSource(seed: seed)
    for _ in 0..<200 {
      var flags = (0..<60).map { _ in random.chance(30) }
      var row = Occupancy(places: flags.indices.filter { flags[$0] }, limit: flags.count)
      while true {
        let count = Int.random(in: 1...6, using: &random)
        let expected = (0...(60 - count)).first { start in !flags[start..<(start + count)].contains(true) }
        guard let expected else {
          #expect(throws: PlanError.self, "seed \(seed)") { try row.take(count, of: "slots") }
          break
        }
        #expect(try row.take(count, of: "slots").lowerBound == expected, "seed \(seed)")
        for place in expected..<(expected + count) { flags[place] = true }
        #expect(row.count == flags.count(where: \.self), "seed \(seed)")
      }
    }
  }
}
