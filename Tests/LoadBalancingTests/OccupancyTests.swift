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

  @Test("Where places are free but not side by side, more are needed than there are")
  func fragmented() {
    var row = Occupancy([3..<6], limit: 10)
    #expect(throws: PlanError.limitExceeded(what: "slots", limit: 10, needed: 11)) {
      try row.take(5, of: "slots")
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
