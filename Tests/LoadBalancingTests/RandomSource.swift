// SPDX-License-Identifier: Apache-2.0

/// Random numbers that a seed repeats: SplitMix64.
struct RandomSource: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

  mutating func pick<Choices: Collection>(_ choices: Choices) -> Choices.Element {
    choices.randomElement(using: &self)!
  }
}

/// A seed of its own for every run, printed so that a failure can be repeated.
func freshSeed(_ test: String = #function) -> UInt64 {
  let seed = UInt64.random(in: 0..<1_000_000_000)
  print("\(test): seed \(seed)")
  return seed
}
