// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BPF
import Dataplane
import Foundation
import LoadBalancing

/// `sluice-bench`: what a packet and a table cost.
@main
struct SluiceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-bench", abstract: "What a packet and a table cost.",
    subcommands: [Measure.self, ControlBench.self, LoadRestricted.self], defaultSubcommand: Measure.self)
}

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Nanoseconds per packet beside a bounce, milliseconds per table.",
    discussion: "Run by scripts/bench, on one CPU. docs/performance.md explains the figures.")

  @Option(help: "Rounds that count; a round runs every program once.") var rounds = 15
  @Option(help: "Packets of a program in a round.") var runs = 100_000
  @Flag(help: "5 rounds of 20,000 packets.") var quick = false
  @Flag(help: "JSON instead of a table.") var json = false
  @Flag(help: "Packets only, no tables.") var packetsOnly = false

  mutating func validate() throws {
    if quick { (rounds, runs) = (5, 20_000) }
    guard rounds > 0, runs > 0 else { throw ValidationError("--rounds and --runs count from 1") }
  }

  func run() throws {
    let report = Report(
      conditions: Conditions.now(rounds: rounds, runs: runs), packets: try packets(),
      tables: packetsOnly ? [] : TableBench.measure(rounds: rounds),
      writing: packetsOnly ? nil : try TableBench.measureWriting(rounds: rounds))
    json ? try report.printJSON() : report.printTables()
  }

  private func packets() throws -> [PacketBench.Figure] {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { unsafe _ = rmdir(pins) }
    let changes = try Installation.forwarder(affinity: .changes, pins: pins)
    let restricted = try RestrictedForwarder.program(pins: pins)
    let bench = PacketBench(rounds: rounds, runs: runs)
    return try [false, true].flatMap { isIPv6 in
      // Anew for each family: its flow table begins empty, and never is full.
      let all = try Installation.forwarder(affinity: .all, pins: pins)
      return try bench.measure(
        [
          PacketBench.Target(name: "forwarder", program: changes.program, forwarder: changes),
          PacketBench.Target(name: "no CAP_PERFMON", program: restricted),
          PacketBench.Target(name: "affinity: all", program: all.program, forwarder: all),
        ], isIPv6: isIPv6)
    }
  }
}
