// SPDX-License-Identifier: Apache-2.0

/// An attacker who does not know the seed, opens flows from addresses of its choice and sees which backend answers each.
/// It looks for a step between addresses that keeps the backend, so as to aim many flows at one backend.
///
/// It observes the flows from all sums of 2,048 random words and 64 others, 131,072 in all: every one of the two million
/// differences of the former is seen at 64 places.
public struct Attacker {
  public static let observations = firstCount * secondCount

  private static let firstCount = 2048
  private static let secondCount = 64

  /// The step that kept the backend most often.
  public let step: UInt32
  /// How often it did, of all times that it was observed.
  public let observedShare: Double

  /// - Parameters:
  ///   - backend: which backend answers a flow from an address, of which the attacker varies one word.
  ///   - combine: how a step is taken: a sum, or an exclusive or.
  public init(
    random: inout some RandomNumberGenerator, combine: (UInt32, UInt32) -> UInt32 = { $0 &+ $1 },
    difference: (UInt32, UInt32) -> UInt32 = { $0 &- $1 }, backend: (UInt32) -> UInt16
  ) {
    // Small enough for no sum to overflow: a step that does is another one.
    let first = (0..<Self.firstCount).map { _ in random.next() as UInt32 >> 2 }
    let second = (0..<Self.secondCount).map { _ in random.next() as UInt32 >> 2 }
    let seen = first.map { word in second.map { backend(combine(word, $0)) } }
    var best = (matches: -1, from: 0, to: 0)
    for from in first.indices {
      for to in first.indices.dropFirst(from + 1) {
        let matches = Self.matches(seen[from], seen[to])
        if matches > best.matches { best = (matches, from, to) }
      }
    }
    step = difference(first[best.to], first[best.from])
    observedShare = Double(best.matches) / Double(Self.secondCount)
  }

  /// At how many places two rows agree. Rows that agree at few of the first places are not looked at further.
  private static func matches(_ left: [UInt16], _ right: [UInt16]) -> Int {
    var matches = 0
    for place in 0..<secondCount {
      if place == 8, matches < 2 { return 0 }
      if left[place] == right[place] { matches += 1 }
    }
    return matches
  }
}
