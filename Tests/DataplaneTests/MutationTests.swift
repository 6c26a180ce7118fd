// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import TestSupport
import Testing

@Suite("Mutated packets", .serialized)
struct MutationTests {
  private static let forwarder = Result { try makeForwarder(.standard) }

  /// Frames per seed.
  private static let count = 1_000_000

  @Test(
    "P21 whatever comes in, what goes out is sound", arguments: [0x51_0ce, UInt64.random(in: 0...UInt64.max)])
  func mutated(seed: UInt64) throws {
    let forwarder = try Self.forwarder.get()
    // Long payloads would only take time.
    let frames = PacketCase.all.map(\.packet.bytes).filter {
      $0.count <= 700 || $0.count > 1400 && $0.count < 1600
    }
    var mutator = Mutator(seed: seed)
    var invariants = Invariants(forwarder.scenario)
    var output = [UInt8](repeating: 0, count: 4096)
    let before = try forwarder.counts()
    var flaws = 0

    for _ in 0..<Self.count {
      let frame = mutator.mutation(of: frames)
      let outcome = try forwarder.program.testRun(input: frame, output: &output)
      if let flaw = invariants.flaw(frame, outcome.returnValue, output, outcome.outputCount) {
        flaws += 1
        if flaws <= 10 {
          Issue.record(
            "seed \(seed): \(flaw)\n\(hex(frame))\nbecame\n\(hex(Array(output[..<outcome.outputCount])))")
        }
      }
    }
    #expect(flaws == 0)
    let counts = try forwarder.counts() - before
    invariants.expectConservation(counts)
    #expect(invariants.forwarded > UInt64(Self.count / 20), "enough mutations are harmless to say something")
    print("mutation, seed \(seed): \(invariants.summary(counts))")
  }
}

/// Makes frames that resemble others.
struct Mutator {
  private var random: SplitMix64
  private static let longest = 3400

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func mutation(of frames: [[UInt8]]) -> [UInt8] {
    var frame = frames[below(frames.count)]
    for _ in 0...below(3) { mutate(&frame) }
    return frame
  }

  private mutating func mutate(_ frame: inout [UInt8]) {
    // Most octets are payload; what matters lies in front.
    let place = below(4) == 0 ? below(frame.count) : below(min(frame.count, 100))
    switch below(16) {
    case 0..<6: frame[place] ^= 1 << UInt8(below(8))
    case 6..<10: frame[place] = UInt8(truncatingIfNeeded: random.next())
    case 10: frame[place] = [0, 1, 0x7f, 0x80, 0xff, 0x45, 0x60, 6][below(8)]
    case 11: frame[place] &+= below(2) == 0 ? 1 : 255
    case 12: frame.removeLast(below(frame.count - 13))
    case 13: frame.removeLast(min(frame.count - 14, below(8)))
    case 14:
      let more = min(below(below(8) == 0 ? 1500 : 60), Self.longest - frame.count)
      for _ in 0..<max(0, more) { frame.append(UInt8(truncatingIfNeeded: random.next())) }
    default:
      let other = below(frame.count)
      (frame[place], frame[other]) = (frame[other], frame[place])
    }
  }

  private mutating func below(_ limit: Int) -> Int { Int(truncatingIfNeeded: random.next() >> 1) % limit }
}
