// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane
import Foundation
import LoadBalancing

/// Nanoseconds per packet, beside the bounce.
struct PacketBench {
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
    /// The difference in that of the stripped forwarder, by medians and by the fastest rounds.
    var strippedRatio: Double?
    var leastStrippedRatio: Double?
    /// The largest ratio to the stripped forwarder that is allowed.
    var required: Double?

    var leastDifference: Double { leastNanoseconds - leastBounceNanoseconds }
  }

  let isIPv6: Bool
  let rounds: Int
  let runs: Int

  /// Every program runs once in a round. What a peer does not transmit is not timed, and said on stderr.
  func measure(_ targets: [Target], _ traffic: [Traffic]) throws -> [Figure] {
    var harness = try Harness()
    return try traffic.flatMap { traffic in
      let able = try targets.filter { try $0.kind != .unchecked || isTransmitted(by: $0, traffic, &harness) }
      return try measure(able, traffic, &harness)
    }
  }

  /// Whether a peer makes of some of the flows what a forwarder must make of all.
  private func isTransmitted(by peer: Target, _ traffic: Traffic, _ harness: inout Harness) throws -> Bool {
    do {
      for first in 0..<16 {
        _ = try harness.time(
          peer.program, Harness.Setting(traffic, isIPv6: isIPv6), first: first, count: 1,
          action: traffic.action(isIPv6: isIPv6))
      }
      return true
    } catch let error as BenchError {
      try FileHandle.standardError.write(
        contentsOf: Data("bench: \(isIPv6 ? "IPv6" : "IPv4"), \(traffic.name), not timed: \(error)\n".utf8))
      return false
    }
  }

  private func measure(_ targets: [Target], _ traffic: Traffic, _ harness: inout Harness) throws -> [Figure] {
    let setting = Harness.Setting(traffic, isIPv6: isIPv6)
    // Every flow once before the clock counts; of a flood's flows none comes again.
    let warmUp = traffic.isFlood ? runs : max(runs, traffic.flows)
    let verdict = traffic.verdict(isIPv6: isIPv6)
    let all = [Target(bounce: harness.bounce(isIPv6: isIPv6))] + targets
    let before = try targets.map { try $0.packets(verdict: verdict) }
    var times = [[Double]](repeating: [], count: all.count)
    for round in 0...rounds {
      for (index, target) in all.enumerated() {
        let (time, last) = try harness.time(
          target.program, setting, first: round == 0 ? 0 : warmUp + (round - 1) * runs,
          count: round == 0 ? warmUp : runs, action: index == 0 ? 3 : traffic.action(isIPv6: isIPv6))
        if target.kind != .unchecked {
          try check(last, setting.frame, traffic, target.encapsulation)
        }
        if round > 0 { times[index].append(time) }
      }
    }
    for (target, before) in zip(targets, before) where target.forwarder != nil {
      let count = try target.packets(verdict: verdict) - before
      guard count == warmUp + rounds * runs else {
        throw BenchError("\(target.name): \(count) of \(warmUp + rounds * runs) packets were \(verdict)")
      }
      try checkTracked(target, of: traffic.flows)
    }
    return figures(targets, times, traffic)
  }

  /// What a target made of the last frame of a turn, where it is to be encapsulated.
  private func check(
    _ output: [UInt8], _ frame: Frame, _ traffic: Traffic, _ encapsulation: Encapsulation
  ) throws {
    guard traffic.verdict(isIPv6: isIPv6) == "forwarded" else { return }
    guard traffic.shape == .tagged else {
      return try Installation.check(output, of: frame, encapsulation)
    }
    guard output[12..<16] == frame.octets[12..<16] else { throw BenchError("the VLAN tag is gone") }
    try Installation.check(
      Array(output[..<12] + output[16...]), of: Frame(isIPv6: isIPv6), encapsulation)
  }

  private func figures(_ targets: [Target], _ times: [[Double]], _ traffic: Traffic) -> [Figure] {
    let base = median(times[0])
    let leastBase = times[0].min() ?? 0
    var figures = zip(targets, times.dropFirst()).map { target, times in
      let time = median(times)
      return Figure(
        family: isIPv6 ? "IPv6" : "IPv4", traffic: traffic.name, target: target.name, nanoseconds: time,
        bounceNanoseconds: base, difference: time - base, ratio: (time - base) / base,
        leastNanoseconds: times.min() ?? 0, leastBounceNanoseconds: leastBase)
    }
    guard let stripped = targets.firstIndex(where: { $0.kind == .stripped }).map({ figures[$0] }) else {
      return figures
    }
    for (index, target) in targets.enumerated() where target.kind != .stripped {
      figures[index].strippedRatio = figures[index].difference / stripped.difference
      figures[index].leastStrippedRatio = figures[index].leastDifference / stripped.leastDifference
      if target.isJudged { figures[index].required = traffic.required(isIPv6: isIPv6) }
    }
    return figures
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
