// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BPF
import Dataplane
import Foundation
import LoadBalancing

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Nanoseconds per packet beside a bounce, milliseconds per table.",
    discussion: "Run by scripts/bench, on one CPU. docs/performance.md explains the figures.")

  @Option(help: "Rounds that count; a round runs every program once.") var rounds = 15
  @Option(help: "Packets of a program in a round.") var runs = 100_000
  @Flag(help: "5 rounds of 20,000 packets.") var quick = false
  @Flag(help: "JSON instead of a table.") var json = false
  @Flag(help: "Packets only, no tables.") var packetsOnly = false
  @Flag(help: "Only the forwarder, its variants and the peers; no changed slots, no slow packets.")
  var steadyOnly = false
  @Option(help: "A forwarder object compiled elsewhere, timed beside this one; may be repeated.")
  var variant: [String] = []
  @Option(help: "A loaded XDP program to time beside this one, by its id; may be repeated.")
  var peer: [UInt32] = []
  @Option(help: "ipv4 or ipv6: only this family.") var family: Family?

  enum Family: String, ExpressibleByArgument {
    case ipv4, ipv6
  }

  mutating func validate() throws {
    if quick { (rounds, runs) = (5, 20_000) }
    guard rounds > 0, runs > 0 else { throw ValidationError("--rounds and --runs count from 1") }
  }

  func run() throws {
    let report = Report(
      conditions: Conditions.now(rounds: rounds, runs: runs), warnings: warnings,
      packets: try families.flatMap(packets),
      tables: packetsOnly ? [] : TableBench.measure(rounds: rounds),
      writing: packetsOnly ? nil : try TableBench.measureWriting(rounds: rounds))
    json ? try printJSON(report) : report.printTables()
  }

  /// A turn begins with caches that hold other programs' tables. To fill them is a part of what is timed, which is
  /// negligible only where a turn is many times as long.
  private var warnings: [String] {
    let short = Traffic.byFlows.filter { runs < 10 * $0.tableLines }
    guard let longest = short.map(\.tableLines).max() else { return [] }
    return [
      "turns of \(runs) packets are too short to fill the caches, so these are too dear: "
        + short.map(\.name).joined(separator: ", ") + ". Take --runs \(10 * longest) or more."
    ]
  }

  /// Whether each of the families is IPv6.
  private var families: [Bool] { family.map { [$0 == .ipv6] } ?? [false, true] }

  private func packets(isIPv6: Bool) throws -> [PacketBench.Figure] {
    let pins = "/sys/fs/bpf/sl-bench-\(getpid())"
    defer { unsafe _ = rmdir(pins) }
    var steady = try [
      Target(Target.forwarderName, Installation.Variation(isIPv6: isIPv6), pins: pins, tracked: 0),
      Target(restricted: "no CAP_PERFMON", object: nil, isIPv6: isIPv6, pins: pins),
    ]
    for (number, path) in variant.enumerated() {
      let variation = Installation.Variation(isIPv6: isIPv6, code: try Variant.code(ofObjectAt: path))
      steady.append(try Target("variant \(number + 1)", variation, pins: pins, tracked: 0))
      steady.append(
        try Target(
          restricted: "variant \(number + 1), no PERFMON", object: path, isIPv6: isIPv6, pins: pins))
    }
    steady += try peer.map { try Target(peer: $0) }
    let all = [try Target(strippedForIPv6: isIPv6)] + steady
    let bench = PacketBench(isIPv6: isIPv6, rounds: rounds, runs: runs)
    if steadyOnly {
      return try bench.measure(all, Traffic.byFlows + [Traffic.flood, Traffic.manyServices])
    }
    // Forwarders that use the flow table begin with an empty one. A flood meets the limits on new entries; other flows
    // are known.
    return try bench.measure(all + tracking(isIPv6, pins, budgets: .unlimited), Traffic.byFlows)
      + bench.measure(encapsulations(beside: steady[0], isIPv6, pins), Traffic.byFlows)
      + bench.measure(all + tracking(isIPv6, pins, budgets: nil), [Traffic.flood])
      + bench.measure(all, [Traffic.manyServices]) + bench.measure(steady, Traffic.slow)
  }

  /// One for each encapsulation. IPIP is that of `forwarder`.
  private func encapsulations(beside forwarder: Target, _ isIPv6: Bool, _ pins: String) throws -> [Target] {
    var plain = forwarder
    plain.name = Encapsulation().name
    return try [plain]
      + Encapsulation.Kind.allCases.filter { $0 != .standard }.flatMap { kind in
        try (kind == .gue ? Encapsulation.Variant.allCases : [.standard]).map { variant in
          let variation = Installation.Variation(isIPv6: isIPv6, encapsulation: kind, variant: variant)
          let name = Encapsulation(kind: kind, variant: variant).name
          return try Target(name, variation, pins: pins, tracked: 0)
        }
      }
  }

  /// Those that use the flow table.
  private func tracking(_ isIPv6: Bool, _ pins: String, budgets: InsertBudgets?) throws -> [Target] {
    func target(
      _ name: String, _ tracked: Double, mode: Affinity.Mode = .changes, draining: Int = 0,
      code: EmbeddedObject = ForwarderObject.embedded
    ) throws -> Target {
      let variation = Installation.Variation(
        isIPv6: isIPv6, mode: mode, draining: draining, code: code, budgets: budgets)
      return try Target(name, variation, pins: pins, tracked: budgets == nil ? nil : tracked)
    }
    var targets = [
      try target("10 % changed", 0.1, draining: 10), try target("100 % changed", 1, draining: 100),
      try target("affinity: all", 1, mode: .all),
    ]
    for (number, path) in variant.enumerated() {
      let code = try Variant.code(ofObjectAt: path)
      targets.append(try target("variant \(number + 1), 100 %", 1, draining: 100, code: code))
    }
    return targets
  }
}

/// A forwarder that is not this binary's own: what a change of the program gives, seen in one run.
enum Variant {
  static func code(ofObjectAt path: String) throws -> EmbeddedObject {
    EmbeddedObject(
      name: "forwarder", base64: try Data(contentsOf: URL(fileURLWithPath: path)).base64EncodedString())
  }
}
