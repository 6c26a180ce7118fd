// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Testing

@testable import Control

/// A plan that was made before is put in force only if it would be made again.
@Suite struct PreparedPlanTests {
  private static func basis(_ change: (inout PreparedPlan.Basis) -> Void = { _ in }) -> PreparedPlan.Basis {
    let configuration = ControlWorld.configuration()
    var basis = PreparedPlan.Basis(
      installed: InstalledState(), desired: configuration.desired, limits: configuration.node.limits,
      now: Tick(7), tickLength: 1, expired: [], ended: [], fulfilled: nil, census: nil)
    change(&basis)
    return basis
  }

  @Test func `it holds for what it was made from`() throws {
    let prepared = try PreparedPlan(Self.basis(), allowsLostFlows: false)
    #expect(prepared.holds(for: Self.basis(), allowsLostFlows: false))
    #expect(!prepared.plan.isEmpty)
  }

  @Test(
    arguments: [
      {
        $0.installed.pools["x"] = InstalledState.Pool(
          number: 1, name: "x", hash: .flow, firstSlot: 0, slots: [])
      },
      {
        $0.installed.backends[9] = nil
        $0.desired.pools[0].backends[1].weight = 3
      },
      { $0.desired.awaited = ["web"] }, { $0.desired.unusableLeaving = [1] }, { $0.limits.slots += 1 },
      { $0.now = Tick(8) }, { $0.tickLength = 2 }, { $0.expired = [1] },
      { $0.ended = [ControlWorld.service().key] }, { $0.fulfilled = $0.desired },
      { $0.census = FlowCensus() },
    ] as [@Sendable (inout PreparedPlan.Basis) -> Void])
  func `it holds for nothing else`(_ change: @Sendable (inout PreparedPlan.Basis) -> Void) throws {
    let prepared = try PreparedPlan(Self.basis(), allowsLostFlows: false)
    #expect(!prepared.holds(for: Self.basis(change), allowsLostFlows: false))
  }

  @Test func `one that may lose flows is none for a change that may not`() throws {
    let losing = try PreparedPlan(Self.basis(), allowsLostFlows: true)
    #expect(!losing.holds(for: Self.basis(), allowsLostFlows: false))
    let keeping = try PreparedPlan(Self.basis(), allowsLostFlows: false)
    #expect(keeping.holds(for: Self.basis(), allowsLostFlows: true))
    #expect(keeping.plan == losing.plan)
  }
}
