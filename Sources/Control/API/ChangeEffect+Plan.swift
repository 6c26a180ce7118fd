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

  /// Services whose flows move with their slots, because they are not recorded.
  private static func untracked(_ effect: Effect, in desired: DesiredState) -> [String] {
    let moving = Set(effect.pools.filter { $0.slotsMoved > 0 && $0.slotsMoved < $0.slotsTotal }.map(\.pool))
    let names = Set(
      desired.services.filter { $0.affinity.mode == .none && moving.contains($0.pool) }.map(\.name))
    return names.sorted().map {
      "service \($0) has affinity none: flows of slots that move go elsewhere at once"
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
