// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import LoadBalancing
import Testing

/// The check of a configuration and the planner count alike.
@Suite struct LimitTests {
  private func text(vips: Int, ports: Int, backends: Int, pairs: Int, slots: Int = 2018) -> String {
    let addresses = (1...vips).map { "192.0.2.\($0)" }.joined(separator: ", ")
    let list = (1...ports).map { "\($0)/tcp" }.joined(separator: ", ")
    let lines = (1...backends).map { "      - { name: b\($0), address: 10.0.0.\($0) }\n" }.joined()
    return """
      version: 1
      interfaces: [{ name: eth0 }]
      hash_seed: "a secret of the tests"
      limits: { pairs: \(pairs), slots: \(slots) }
      services:
        - { name: web, vips: [\(addresses)], ports: [\(list)], pool: web }
      pools:
        web:
          table_size: 1009
          backends:
      \(lines)
      """
  }

  private func isPlanned(_ configuration: Configuration) -> Bool {
    let plan = try? Planner.plan(
      from: InstalledState(), to: configuration.desired, limits: configuration.node.limits, now: Tick(0))
    return plan != nil
  }

  @Test(arguments: [(1, 1, 1), (3, 2, 3), (2, 2, 16), (2, 3, 17), (1, 1, 33), (4, 4, 70)])
  func `what is checked good can be installed, to the last counter`(vips: Int, ports: Int, backends: Int)
    throws
  {
    let run = NodeSettings.Limits.pairs(forBackends: backends)
    let needed = vips * ports * run
    let exact = parse(text(vips: vips, ports: ports, backends: backends, pairs: needed))
    #expect(isPlanned(try #require(exact.configuration, "\(exact.rendered())")))
    let short = parse(text(vips: vips, ports: ports, backends: backends, pairs: needed - 1))
    #expect(short.errors.map(\.code) == [.limitExceeded])
    #expect(
      short.errors.first?.message
        == "\(needed) pair counters are needed (for each virtual service one for each backend of its pool, rounded up to "
        + "16, 32, 64, …); limits.pairs is \(needed - 1)")
    var beyond = try #require(exact.configuration)
    beyond.node.limits.pairs -= 1
    #expect(!isPlanned(beyond))
  }
}
