// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane

/// Nanoseconds per packet, beside the bounce.
struct PacketBench {
  struct Figure: Codable {
    var family: String
    var traffic: String
    var target: String
    /// Median of the rounds: the harness with the target, and less the harness with the bounce.
    var nanoseconds: Double
    var bounceNanoseconds: Double
    var difference: Double
    /// The difference, in bounces.
    var ratio: Double
  }

  let rounds: Int
  let runs: Int
  private static let traffic: [(name: String, flows: UInt64, syn: Bool)] = [
    ("1 flow", 1, false), ("10 k flows", 10_000, false), ("100 k flows", 100_000, false),
    ("1 M flows", 1_000_000, false), ("SYN flood", 1 << 24, true),
  ]

  func measure(_ targets: [(name: String, forwarder: Forwarder)]) throws -> [Figure] {
    var harness = try Harness()
    var figures: [Figure] = []
    for isIPv6 in [false, true] {
      for (name, flows, syn) in Self.traffic {
        let frame = Installation.frame(isIPv6: isIPv6, syn: syn)
        let setting = Harness.Setting(frame: frame, isIPv6: isIPv6, flows: flows)
        for target in targets {
          let run = try target.forwarder.program.testRun(input: frame)
          guard run.returnValue == 3 else { throw BenchError("\(target.name) returned \(run.returnValue)") }
          try Installation.check(run.output, of: frame, isIPv6: isIPv6)
        }
        let bounce = isIPv6 ? harness.bounce40 : harness.bounce20
        let programs = [bounce] + targets.map(\.forwarder.program)
        var times = [[Double]](repeating: [], count: programs.count)
        for round in 0...rounds {
          for (index, program) in programs.enumerated() {
            let time = try harness.time(program, setting, runs: runs)
            if round > 0 { times[index].append(time) }
          }
        }
        let base = median(times[0])
        for (index, target) in targets.enumerated() {
          let time = median(times[index + 1])
          figures.append(
            Figure(
              family: isIPv6 ? "IPv6" : "IPv4", traffic: name, target: target.name, nanoseconds: time,
              bounceNanoseconds: base, difference: time - base, ratio: (time - base) / base))
        }
      }
    }
    return figures
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
