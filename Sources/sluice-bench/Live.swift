// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BPF
import Dataplane
import Foundation
import LoadBalancing

struct Live: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Packets per second of one core on a veth, beside a bounce.",
    discussion: "Run by scripts/bench live, inside the network namespace that it made.")

  @Option(help: "The veth's end that sends.") var sender: String
  @Option(help: "The end under test: threaded, so that its work can be kept to one core.") var receiver:
    String
  @Option(help: "The CPU that receives; this process should be on another.") var cpu: Int
  @Option(help: "Rounds that count; a round runs every program once.") var rounds = 21
  @Option(help: "Frames sent to a program in a round.") var frames = 300_000
  @Option(help: "A loaded XDP program to time beside this one, by its id; may be repeated.")
  var peer: [UInt32] = []
  @Flag(help: "JSON instead of a table.") var json = false

  func run() throws {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { unsafe _ = rmdir(pins) }
    let bench = LiveBench(
      sender: try index(of: sender), receiver: try index(of: receiver), receiverName: receiver, cpu: cpu,
      rounds: rounds, frames: frames)
    let figures = try [false, true].flatMap { isIPv6 in
      let targets =
        try [
          Target(strippedForIPv6: isIPv6),
          Target(Target.forwarderName, Installation.Variation(isIPv6: isIPv6), pins: pins),
        ] + peer.map { try Target(peer: $0) }
      return try bench.measure(targets, Traffic.byFlows + [Traffic.flood], isIPv6: isIPv6)
    }
    let report = LiveReport(
      conditions: Conditions.live(rounds: rounds, frames: frames, cpu: cpu), figures: figures)
    json ? try printJSON(report) : report.printTable()
  }

  private func index(of interface: String) throws -> UInt32 {
    let index = unsafe if_nametoindex(interface)
    guard index != 0 else { throw ValidationError("this network namespace has no interface '\(interface)'") }
    return index
  }
}

/// All that was measured live, and under which conditions.
struct LiveReport: Codable {
  var conditions: [String: String]
  var figures: [LiveBench.Figure]

  /// The least part of the bounce's rate that the forwarder reaches with a million flows.
  private static let requiredRatio = 0.75

  func printTable() {
    for (key, value) in conditions.sorted(by: { $0.key < $1.key }) { print("\(key): \(value)") }
    print(
      "\n" + pad("family", 8) + pad("traffic", 13) + pad("program", 24)
        + "  Mpps of a core   [least..most]   of the bounce's   Mpps elapsed   core busy  required")
    for row in figures {
      print(
        pad(row.family, 8) + pad(row.traffic, 13) + pad(row.target, 24)
          + String(
            format: "%16.2f   [%5.2f..%5.2f] %17.2f %14.2f %9.0f %%", row.rate, row.slowest, row.fastest,
            row.ratio, row.elapsedRate, row.busy * 100)
          + requirement(row))
    }
  }

  private func requirement(_ row: LiveBench.Figure) -> String {
    guard row.target == Target.forwarderName, row.traffic == "1 M flows" else { return "" }
    return String(format: "  >= %.2f ", Self.requiredRatio)
      + (row.ratio >= Self.requiredRatio ? "met" : "MISSED")
  }
}
