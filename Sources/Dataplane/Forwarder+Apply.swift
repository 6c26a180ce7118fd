// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
public import LoadBalancing

extension Forwarder {
  /// Carries out a plan's steps in their order.
  ///
  /// What they wrote is read back through the kernel and compared. Throws at the first step that fails; every step
  /// before it is in force, and what is installed then, which ``readInstalled()`` returns, forwards. The caller plans
  /// anew from there.
  /// - Parameter nextHops: the next hop of each backend's address; backends without one drop until it is set.
  public func apply(_ plan: Plan, nextHops: [IPAddress: NextHopState]) throws(DataplaneError) {
    do throws(DataplaneError) {
      try markVIPs(of: plan.result)
      for step in plan.steps { try apply(step, plan.result, nextHops) }
      setLeaving(plan.result)
      try recordTables(of: plan.result)
      try unmarkOthers(than: plan.result)
      FaultPoint.beforeVerification.pass()
      try verify(plan)
      try fillBuckets(plan)
    } catch {
      // The next plan may write where packets that are under way still read.
      serviceIDs = nil
      leaving = nil
      // An error of the wait must not hide the cause.
      try? waitForReaders()
      throw error
    }
  }

  private func apply(
    _ step: Plan.Step, _ result: InstalledState, _ nextHops: [IPAddress: NextHopState]
  ) throws(DataplaneError) {
    switch step {
    case .renameBackend(let backend): try writeName(of: backend)
    case .renamePool(let pool): try writeName(of: pool)
    case .writeBackend(let backend):
      try write(backend, pool: result.pools[backend.pool]?.number ?? 0, nextHops[backend.address])
    case .resetPairs(let pairs): try setPairs(pairs.map { ($0, Counter()) })
    case .publishTable(let pool): try publish(pool)
    case .setSettle(let pool): setSettle(of: pool)
    case .addService(let service, let pool): try add(service, pool: pool)
    case .changeService(let service, let pool, let before):
      let poolBefore = service.move.flatMap { result.pools[$0.pool]?.number }
      try change(service, pool: pool, poolBefore: poolBefore, pairsBefore: before)
    case .removeService(let service): try remove(service)
    case .setUsable(let number, let isUsable): setFlag(BACKEND_USABLE, of: number, isUsable)
    case .setDraining(let number, let isDraining): setFlag(BACKEND_DRAINING, of: number, isDraining)
    case .waitForReaders: try waitForReaders()
    case .releaseBackend(let number): try release(number)
    case .releasePool(let number): try releasePool(number)
    }
  }
}
