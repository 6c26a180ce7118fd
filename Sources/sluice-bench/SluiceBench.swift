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
    subcommands: [Measure.self, Live.self, ControlBench.self, LoadRestricted.self],
    defaultSubcommand: Measure.self)
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
  @Option(help: "A forwarder object compiled elsewhere, timed beside this one; may be repeated.")
  var variant: [String] = []

  mutating func validate() throws {
    if quick { (rounds, runs) = (5, 20_000) }
    guard rounds > 0, runs > 0 else { throw ValidationError("--rounds and --runs count from 1") }
  }

  func run() throws {
    let report = Report(
      conditions: Conditions.now(rounds: rounds, runs: runs), packets: try packets(),
      tables: packetsOnly ? [] : TableBench.measure(rounds: rounds),
      writing: packetsOnly ? nil : try TableBench.measureWriting(rounds: rounds))
    json ? try printJSON(report) : report.printTables()
  }

  private func packets() throws -> [PacketBench.Figure] {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { unsafe _ = rmdir(pins) }
    var steady = [
      try target("forwarder", Installation.Variation(), pins, tracked: 0),
      try restricted("no CAP_PERFMON", object: nil, pins),
    ]
    for (number, path) in variant.enumerated() {
      let variation = Installation.Variation(code: try Variant.code(ofObjectAt: path))
      steady.append(try target("variant \(number + 1)", variation, pins, tracked: 0))
      steady.append(try restricted("variant \(number + 1), no PERFMON", object: path, pins))
    }
    let bench = PacketBench(rounds: rounds, runs: runs)
    return try [false, true].flatMap { isIPv6 in
      // Each time anew: their flow tables begin empty. A flood meets the limits on new entries; other flows are known.
      try bench.measure(
        steady + remembering(pins, budgets: .unlimited), PacketBench.flows, isIPv6: isIPv6)
        + bench.measure(
          steady + remembering(pins, budgets: nil), [PacketBench.flood], isIPv6: isIPv6)
    }
  }

  /// Those that use the flow table.
  private func remembering(_ pins: String, budgets: InsertBudgets?) throws -> [PacketBench.Target] {
    func target(_ name: String, _ variation: Installation.Variation, tracked: Double) throws
      -> PacketBench.Target
    {
      var variation = variation
      variation.budgets = budgets
      return try self.target(name, variation, pins, tracked: budgets == nil ? nil : tracked)
    }
    return [
      try target("10 % changed", Installation.Variation(draining: 10), tracked: 0.1),
      try target("100 % changed", Installation.Variation(draining: 100), tracked: 1),
      try target("affinity: all", Installation.Variation(mode: .all), tracked: 1),
    ]
  }

  private func target(
    _ name: String, _ variation: Installation.Variation, _ pins: String, tracked: Double?
  ) throws -> PacketBench.Target {
    let forwarder = try Installation.forwarder(variation, pins: pins)
    return PacketBench.Target(
      name: name, program: forwarder.program, forwarder: forwarder, tracked: tracked)
  }

  private func restricted(_ name: String, object: String?, _ pins: String) throws -> PacketBench.Target {
    PacketBench.Target(name: name, program: try RestrictedForwarder.program(pins: pins, object: object))
  }
}

/// A forwarder that is not this binary's own: what a change of the program gives, seen in one run.
enum Variant {
  static func code(ofObjectAt path: String) throws -> EmbeddedObject {
    EmbeddedObject(
      name: "forwarder", base64: try Data(contentsOf: URL(fileURLWithPath: path)).base64EncodedString())
  }
}
