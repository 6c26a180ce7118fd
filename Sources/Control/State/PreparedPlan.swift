// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A plan with all that it follows from. Where that is the same later, the plan is, too, and is not made again: a change
/// is planned when it is decided on, and once more when it is put in force.
struct PreparedPlan: Sendable {
  /// What a plan is made from.
  struct Basis: Equatable, Sendable {
    var installed: InstalledState
    var desired: DesiredState
    var limits: NodeSettings.Limits
    var now: Tick
    var tickLength: Double
    var expired: Set<BackendNumber>
    var ended: Set<VirtualService.Key>
    var fulfilled: DesiredState?
    var census: FlowCensus?
  }

  let plan: Plan
  private let basis: Basis
  private let allowsLostFlows: Bool

  init(_ basis: Basis, allowsLostFlows: Bool) throws(PlanError) {
    self.basis = basis
    self.allowsLostFlows = allowsLostFlows
    plan = try Planner.plan(
      from: basis.installed, to: basis.desired, limits: basis.limits, now: basis.now,
      tickLength: basis.tickLength, expired: basis.expired, ended: basis.ended, fulfilled: basis.fulfilled,
      census: basis.census, allowsLostFlows: allowsLostFlows)
  }

  /// Whether it is the plan for this basis.
  /// - Parameter allowsLostFlows: a plan that loses none is the same with it.
  func holds(for basis: Basis, allowsLostFlows: Bool) -> Bool {
    (allowsLostFlows || !self.allowsLostFlows) && self.basis == basis
  }
}
