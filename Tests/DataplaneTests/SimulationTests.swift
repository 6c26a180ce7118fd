// SPDX-License-Identifier: Apache-2.0
import ForwardingModel
import Foundation
import Testing

/// docs/simulation.md has these figures.
@Suite("Simulated networks", .serialized)
struct SimulationTests {
  /// Runs of half an hour each; eight for the documentation.
  private static let seeds =
    ProcessInfo.processInfo.environment["SLUICE_SIMULATION_RUNS"].flatMap(Int.init) ?? 2

  private static let outcomes = Dictionary(
    uniqueKeysWithValues: SimulationCase.all.map { ($0.name, $0.run(seeds: seeds)) })

  private func outcome(_ name: String) throws -> Simulation.Outcome { try #require(Self.outcomes[name]) }

  @Test("connections that break, by affinity and by what happens")
  func figures() throws {
    for simulated in SimulationCase.all { print(try outcome(simulated.name).row(simulated.name)) }
  }

  @Test("one balancer: nothing breaks, with a tenth of the inserts of a table of all flows")
  func oneBalancer() throws {
    let changes = try outcome("one balancer, drain and add: `changes`")
    let all = try outcome("one balancer, drain and add: `all`")
    #expect(try outcome("one balancer, drain and add: `none`").broken > changes.flows / 100)
    #expect(changes.broken == 0 && all.broken == 0, "\(changes.broken) and \(all.broken) broken")
    #expect(
      changes.inserts * 8 < all.inserts && changes.peakEntries * 4 < all.peakEntries, "\(changes) \(all)")
  }

  @Test("several balancers under ECMP: a fraction of what breaks without memory")
  func fleet() throws {
    let none = try outcome("three balancers: `none`").broken
    let long = try outcome("three balancers: `changes`, `learn` as long as `settle`").broken
    #expect(long * 3 < none, "\(long) of \(none)")
  }

  /// Of flows, in thousandths of a percent: that one's range over eight seeds, and half as much again to either side.
  @Test(
    "what breaks is what breaks in the simulation that the design began with",
    arguments: [
      ("one balancer, drain and add: `none`", 890...2770),
      ("three balancers: `none`", 580...2250),
      ("three balancers: `changes`, `learn` as long as `settle`", 60...420),
      ("three balancers: `changes`, `learn` 30 s", 40...230),
    ])
  func design(_ name: String, _ range: ClosedRange<Int>) throws {
    let outcome = try outcome(name)
    #expect(range.contains(outcome.broken * 100_000 / outcome.flows))
  }

  @Test("a SYN that cannot be written goes where its next packet will go")
  func refused() throws {
    let toCurrent = try outcome("no SYN can be written, all go to current")
    #expect(toCurrent.broken > toCurrent.flows / 25)
    #expect(try outcome("no SYN can be written, `changes`").broken < toCurrent.broken / 50)
  }

  @Test(
    "strays keep no drain open, and a drain that is over cuts next to nothing",
    arguments: ["the same with 100 strays/s of each kind", "the same, UDP"])
  func drains(_ name: String) throws {
    let calm = try outcome("drained backends are removed: `changes`")
    let strayed = try outcome(name)
    #expect(strayed.drains > 0 && strayed.drains * 2 >= calm.drains, "\(strayed.drains) of \(calm.drains)")
    #expect(
      strayed.broken * 10_000 < strayed.flows * 5, "\(strayed.broken) of \(strayed.flows), \(strayed.cut) cut"
    )
  }

  @Test(
    "nothing to speak of breaks in false alarms, floods, UDP, repeated SYNs, silence shorter than `settle`",
    arguments: [
      "false alarms of 10 s: `changes`", "5,000 SYNs/s, table of 16,384: `changes`", "UDP: `changes`",
      "a tenth sends its SYN twice: `changes`", "a tenth falls silent for 200 s: `changes`",
    ])
  func events(_ name: String) throws {
    let outcome = try outcome(name)
    #expect(outcome.broken * 10_000 < outcome.flows, "\(outcome.broken) of \(outcome.flows)")
  }
}

extension Simulation.Outcome {
  /// Of the documentation's table.
  fileprivate func row(_ name: String) -> String {
    func percent(_ count: Int) -> String {
      let thousandths = (count * 200_000 / flows + 1) / 2
      let decimals = String(1000 + thousandths % 1000).dropFirst()
      return "\(thousandths / 1000).\(decimals) %"
    }
    return "| \(name) | \(percent(broken)) | \(percent(inserts)) | \(peakEntries) |"
  }
}
