// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane

/// Nanoseconds per packet, beside the bounce.
struct PacketBench {
  struct Target {
    var name: String
    var program: BPFProgram
    /// Its counters, where this process may read them: every packet that was timed must be a forwarded one.
    var forwarder: Forwarder?
    /// Which part of the flows the flow table must hold when each was seen once; nil where a limit keeps some out.
    var tracked: Double?

    func forwardedPackets() throws -> Int {
      let verdicts = try forwarder?.verdicts() ?? []
      return Int(verdicts.first { $0.verdictClass == .forwarded }?.count.packets ?? 0)
    }
  }

  struct Figure: Codable {
    var family: String
    var traffic: String
    var target: String
    /// Medians of the rounds: the harness with the target, and with the bounce.
    var nanoseconds: Double
    var bounceNanoseconds: Double
    var difference: Double
    /// The difference, in bounces.
    var ratio: Double
    /// The fastest rounds, whose difference a busy machine disturbs least.
    var leastNanoseconds: Double
    var leastBounceNanoseconds: Double
  }

  struct Traffic {
    var name: String
    var flows: Int
    var isFlood = false
  }

  let rounds: Int
  let runs: Int
  static let flows = [
    Traffic(name: "1 flow", flows: 1), Traffic(name: "10 k flows", flows: 10_000),
    Traffic(name: "100 k flows", flows: 100_000), Traffic(name: "1 M flows", flows: 1_000_000),
  ]
  static let flood = Traffic(name: "SYN flood", flows: 1 << 24, isFlood: true)

  func measure(_ targets: [Target], _ traffic: [Traffic], isIPv6: Bool) throws -> [Figure] {
    var harness = try Harness()
    return try traffic.flatMap { try measure(targets, $0, isIPv6: isIPv6, &harness) }
  }

  private func measure(
    _ targets: [Target], _ traffic: Traffic, isIPv6: Bool, _ harness: inout Harness
  ) throws -> [Figure] {
    let setting = Harness.Setting(
      frame: Installation.frame(isIPv6: isIPv6, syn: traffic.isFlood), isIPv6: isIPv6,
      flows: UInt64(traffic.flows))
    // Every flow once before the clock counts; a flood has none that come again.
    let warmUp = traffic.isFlood ? runs : max(runs, traffic.flows)
    let bounce = isIPv6 ? harness.bounce40 : harness.bounce20
    let programs = [bounce] + targets.map(\.program)
    let before = try targets.map { try $0.forwardedPackets() }
    var times = [[Double]](repeating: [], count: programs.count)
    for round in 0...rounds {
      for (index, program) in programs.enumerated() {
        let (time, last) = try harness.time(
          program, setting, first: round == 0 ? 0 : warmUp + (round - 1) * runs,
          count: round == 0 ? warmUp : runs)
        if index > 0 { try Installation.check(last, of: setting.frame, isIPv6: isIPv6) }
        if round > 0 { times[index].append(time) }
      }
    }
    for (target, before) in zip(targets, before) where target.forwarder != nil {
      let count = try target.forwardedPackets() - before
      guard count == warmUp + rounds * runs else {
        throw BenchError("\(target.name) forwarded \(count) of \(warmUp + rounds * runs) packets")
      }
      try checkTracked(target, of: traffic.flows)
    }
    let base = median(times[0])
    let leastBase = times[0].min() ?? 0
    return zip(targets, times.dropFirst()).map { target, times in
      let time = median(times)
      return Figure(
        family: isIPv6 ? "IPv6" : "IPv4", traffic: traffic.name, target: target.name, nanoseconds: time,
        bounceNanoseconds: base, difference: time - base, ratio: (time - base) / base,
        leastNanoseconds: times.min() ?? 0, leastBounceNanoseconds: leastBase)
    }
  }

  /// Within a twentieth of all flows: draining backends own about as large a part of the slots as of the pool.
  private func checkTracked(_ target: Target, of flows: Int) throws {
    guard flows > 1, let part = target.tracked, let forwarder = target.forwarder else { return }
    let found = Double(try forwarder.flowCount()) / Double(flows)
    guard abs(found - part) <= 0.05 else {
      throw BenchError("\(target.name) tracks \(found) of the flows, not \(part)")
    }
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
