// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import LoadBalancing

extension ChangeEffect {
  /// What a plan does, in the words of the API.
  /// - Parameters:
  ///   - keys: lines about what differs in services, pools and backends that are there before and after.
  ///   - uncounted: of the effect's ``Effect/backendsCutOff``.
  init(
    _ effect: Effect, from old: DesiredState, to new: DesiredState, keys: [String], uncounted: [Uncounted]
  ) {
    let (poolsBefore, pools) = (Set(old.pools.map(\.name)), Set(new.pools.map(\.name)))
    self.init(
      changes: effect.servicesAdded.map { "+ service \($0)" }
        + effect.servicesRemoved.map { "- service \($0)" }
        + pools.subtracting(poolsBefore).sorted().map { "+ pool \($0)" }
        + poolsBefore.subtracting(pools).sorted().map { "- pool \($0)" }
        + effect.poolsRenamed.map { "~ pool \($0) (its table, memory and counters stay)" }
        + effect.awaited.map { "~ \($0)" }
        + effect.backendsAdded.map { "+ backend \($0)" }
        + effect.backendsRemoved.map { "- backend \($0)" }
        + keys.map { "~ \($0)" },
      services: effect.servicesTouched,
      pools: effect.pools.map { share in
        let pool = new.pool(named: share.pool)
        return Pool(
          pool: share.pool, slotsMoved: share.slotsMoved, slotsTotal: share.slotsTotal,
          ready: pool?.ready ?? 0, required: pool?.required ?? 0, emptied: share.backendsEmptied,
          filled: share.backendsFilled)
      },
      flowsConcerned: effect.flowsConcerned, flowsLost: effect.flowsLost, uncounted: uncounted,
      warnings: effect.warnings + Self.untracked(effect, in: new))
  }

  /// Services whose flows move with their slots, since nobody remembers them.
  private static func untracked(_ effect: Effect, in desired: DesiredState) -> [String] {
    let moving = Set(effect.pools.filter { $0.slotsMoved > 0 && $0.slotsMoved < $0.slotsTotal }.map(\.pool))
    let names = Set(
      desired.services.filter { $0.affinity.mode == .none && moving.contains($0.pool) }.map(\.name))
    return names.sorted().map {
      "service \($0) has affinity none: flows of slots that move go elsewhere at once"
    }
  }
}

extension Reconciler {
  /// What a plan does to what is desired now. To be formed before the plan is applied.
  /// - Parameter differences: of the configuration that the plan follows; nil: it follows from runtime changes.
  func changeEffect(
    _ effect: Effect, to target: DesiredState, _ differences: [KeyDifference]? = nil
  ) -> ChangeEffect {
    ChangeEffect(
      effect, from: desired, to: target,
      keys: differences.map(lines) ?? target.backendChanges(since: desired).map { "backend \($0)" },
      uncounted: uncounted(effect))
  }

  private func lines(_ differences: [KeyDifference]) -> [String] {
    let overridden = Set(overrides.map { "backend \($0.pool)/\($0.backend)" })
    return differences.map { difference in
      if difference.needsRestart { return "\(difference.text) (after a restart)" }
      let isHidden = overridden.contains(difference.object) && difference.key != "address"
      return difference.text + (isHidden ? " (a runtime change is in force: see `sluice config diff`)" : "")
    }
  }

  /// What is known of flows that cannot be counted: how many packets their backends were sent lately.
  private func uncounted(_ effect: Effect) -> [ChangeEffect.Uncounted] {
    let cutOff = Set(effect.backendsCutOff.map(\.pool))
    var rates: [String: Double] = [:]
    for backend in installed.backends.values where cutOff.contains(backend.pool) {
      rates[backend.pool, default: 0] += traffic.rate(of: backend.number)?.perSecond ?? 0
    }
    return effect.backendsCutOff.map { cutOff in
      var uncounted = ChangeEffect.Uncounted(
        backend: "\(cutOff.pool)/\(cutOff.backend)", slots: cutOff.uncountedSlots,
        slotsTotal: cutOff.slotsTotal)
      if let (rate, seconds) = traffic.rate(of: cutOff.number) {
        let all = rates[cutOff.pool] ?? 0
        uncounted.packetsPerS = rate
        uncounted.share = all > 0 ? rate / all : 0
        uncounted.overS = seconds
      }
      return uncounted
    }
  }
}

extension ConfigurationDiagnostic {
  init(_ diagnostic: Diagnostic) {
    self.init(
      file: diagnostic.file, line: diagnostic.line, column: diagnostic.column,
      endColumn: diagnostic.endColumn, severity: diagnostic.severity.rawValue, code: diagnostic.code.rawValue,
      path: diagnostic.path, message: diagnostic.message, expected: diagnostic.expected,
      suggestion: diagnostic.suggestion, rendered: diagnostic.rendered())
  }
}
