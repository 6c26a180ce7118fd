// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane
import Foundation

/// The packet rate of one core on a veth whose other end sends more than it takes.
struct LiveBench {
  struct Figure: Codable {
    var family: String
    var traffic: String
    var target: String
    /// Packets that came back, in millions for each second that the core worked: medians, least and most of the rounds.
    var rate: Double
    var slowest: Double
    var fastest: Double
    /// In millions for each second that passed; less where the machine had other work for the core, or too little.
    var elapsedRate: Double
    /// Which part of the time the core worked.
    var busy: Double
    /// The rate, in rates of the bounce: the median of the rounds, because the machine's speed changes between them.
    var ratio: Double
  }

  private struct Round {
    var arrived: Double
    var busySeconds: Double
    var seconds: Double
    var rate: Double { arrived / busySeconds / 1e6 }
  }

  /// The veth's ends: frames leave the sender's and are received, tested and sent back at the receiver's.
  let sender: UInt32
  let receiver: UInt32
  let receiverName: String
  let cpu: Int
  let rounds: Int
  /// Sent in a round; not all of them are received.
  let frames: Int

  func measure(
    _ targets: [Target], _ traffic: [Traffic], isIPv6: Bool
  ) throws -> [Figure] {
    var harness = try Harness()
    let bounce = Target(bounce: harness.bounce(isIPv6: isIPv6))
    let sink = try BPFLink.attachXDP(harness.sink, interfaceIndex: sender, mode: .native)
    let tested = try BPFLink.attachXDP(bounce.program, interfaceIndex: receiver, mode: .native)
    defer {
      try? tested.detach()
      try? sink.detach()
    }
    let core = try ReceivingCore(interface: receiverName, cpu: cpu)
    return try traffic.flatMap { traffic in
      let all = [bounce, Target(headersOnly: harness.headersOnly(isIPv6: isIPv6))] + targets
      var results = [[Round]](repeating: [], count: all.count)
      for number in 0...rounds {
        for (index, target) in all.enumerated() {
          try tested.update(program: target.program)
          let round = try round(target, traffic, isIPv6: isIPv6, core, &harness)
          // The first one warms the caches up.
          if number > 0 { results[index].append(round) }
        }
      }
      return figures(all.map(\.name), results, traffic.name, isIPv6: isIPv6)
    }
  }

  private func round(
    _ target: Target, _ traffic: Traffic, isIPv6: Bool, _ core: ReceivingCore,
    _ harness: inout Harness
  ) throws -> Round {
    let setting = Harness.Setting(traffic, isIPv6: isIPv6)
    let verdict = traffic.verdict(isIPv6: isIPv6)
    let before = try (
      arrivals: harness.arrivals(), forwarded: target.packets(verdict: verdict), busy: core.busyTime()
    )
    let duration = try ContinuousClock().measure {
      try harness.send(setting, count: frames, from: sender)
    }
    let busy = try core.busyTime() - before.busy
    let during = try harness.arrivals()
    // What was still under way is judged too, but not timed.
    usleep(20_000)
    let after = try harness.arrivals()
    let arrived = after.frames - before.arrivals.frames
    guard arrived > 0 else { throw BenchError("nothing came back from \(target.name)") }
    if target.forwarder != nil {
      let forwarded = try target.packets(verdict: verdict) - before.forwarded
      guard after.encapsulated - before.arrivals.encapsulated == arrived, forwarded == arrived else {
        throw BenchError("\(target.name) forwarded \(forwarded) packets, of \(arrived) came back")
      }
    }
    return Round(
      arrived: Double(during.frames - before.arrivals.frames), busySeconds: busy, seconds: seconds(duration))
  }

  private func figures(
    _ names: [String], _ results: [[Round]], _ traffic: String, isIPv6: Bool
  ) -> [Figure] {
    return zip(names, results).map { name, rounds in
      let rates = rounds.map(\.rate)
      return Figure(
        family: isIPv6 ? "IPv6" : "IPv4", traffic: traffic, target: name, rate: median(rates),
        slowest: rates.min() ?? 0, fastest: rates.max() ?? 0,
        elapsedRate: median(rounds.map { $0.arrived / $0.seconds / 1e6 }),
        busy: median(rounds.map { $0.busySeconds / $0.seconds }),
        ratio: median(zip(rounds, results[0]).map { $0.rate / $1.rate }))
    }
  }

  private func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
  }
}
