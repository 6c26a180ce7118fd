// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import LoadBalancing

/// `sluice-bench`: what a packet and a table cost.
@main
struct SluiceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-bench", abstract: "Nanoseconds per packet beside a bounce, and milliseconds per table.",
    discussion: "Run by scripts/bench, which builds it, pins it to a CPU and runs it in both load modes.")

  @Option(help: "Rounds that count; a round runs every program once.") var rounds = 15
  @Option(help: "Packets of a program in a round.") var runs = 100_000
  @Flag(help: "JSON instead of a table.") var json = false
  @Flag(help: "Packets only, no tables.") var packetsOnly = false

  struct Report: Codable {
    var conditions: [String: String]
    var packets: [PacketBench.Figure]
    var tables: [TableBench.Figure]
  }

  func run() throws {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { rmdir(pins) }
    let changes = try Installation.forwarder(affinity: .changes, pins: pins)
    let all = try Installation.forwarder(affinity: .all, pins: pins)
    let report = Report(
      conditions: Conditions.now(rounds: rounds, runs: runs),
      packets: try PacketBench(rounds: rounds, runs: runs).measure([
        ("forwarder", changes), ("affinity: all", all),
      ]),
      tables: packetsOnly ? [] : TableBench.measure(rounds: rounds))
    json ? try printJSON(report) : printTable(report)
  }

  private func printJSON(_ report: Report) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  private func printTable(_ report: Report) {
    for (key, value) in report.conditions.sorted(by: { $0.key < $1.key }) { print("\(key): \(value)") }
    print("\nfamily  traffic      target          bounce ns   with target   difference   x bounce")
    for row in report.packets {
      print(
        pad(row.family, 8) + pad(row.traffic, 13) + pad(row.target, 16)
          + String(
            format: "%9.0f %13.0f %12.0f %10.2f", row.bounceNanoseconds, row.nanoseconds, row.difference, row.ratio))
    }
    guard !report.tables.isEmpty else { return }
    print("\nbackends  weights   slots   build ms   worst error, slots")
    for row in report.tables {
      print(
        pad("\(row.backends)", 10) + pad(row.weights, 10) + pad("\(row.slots)", 8)
          + String(format: "%8.2f %12.2f", row.milliseconds, row.worstError))
    }
  }

  private func pad(_ text: String, _ width: Int) -> String {
    text.padding(toLength: width, withPad: " ", startingAt: 0)
  }
}

/// What the figures were measured under.
enum Conditions {
  static func now(rounds: Int, runs: Int) -> [String: String] {
    [
      "cpu": line(of: "/proc/cpuinfo", beginning: "model name") ?? "unknown",
      "kernel": text("/proc/sys/kernel/osrelease") ?? "unknown",
      "jit": text("/proc/sys/net/core/bpf_jit_enable") ?? "unknown",
      "date": Date().formatted(.iso8601),
      "pinned to CPUs": line(of: "/proc/self/status", beginning: "Cpus_allowed_list") ?? "unknown",
      "capabilities": line(of: "/proc/self/status", beginning: "CapEff") ?? "unknown",
      "load mode": hasPerfmon ? "with CAP_PERFMON" : "CAP_BPF and CAP_NET_ADMIN alone: speculation barriers",
      "rounds": "\(rounds) of \(runs) packets each, interleaved; medians",
      "installed":
        "\(Installation.pools) services on \(Installation.pools) pools of \(Installation.backends) backends, \(Pool.defaultTableSize) slots each; one IPv6 service",
    ]
  }

  private static var hasPerfmon: Bool {
    let mask = line(of: "/proc/self/status", beginning: "CapEff").flatMap { UInt64($0, radix: 16) } ?? 0
    return mask & (1 << 38 | 1 << 21) != 0
  }

  private static func text(_ path: String) -> String? {
    (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func line(of path: String, beginning: String) -> String? {
    text(path)?.split(separator: "\n").first { $0.hasPrefix(beginning) }?.split(separator: ":", maxSplits: 1).last
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
