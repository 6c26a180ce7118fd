// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Netlink

/// What the control API answers about backends.
extension Snapshot {
  /// - Parameter pool: nil: all pools.
  func backends(
    of pool: String? = nil, _ counters: CounterReading, _ checks: CheckReading, at now: Moment
  ) throws(ControlError) -> [BackendRow] {
    if let pool { try requirePresent(pool) }
    return backendFacts(of: pool.map { [$0] }, forwarded(counters, at: now), checks, at: now).map(
      BackendRow.init)
  }

  func backend(
    _ name: String, in pool: String, _ counters: CounterReading, _ checks: CheckReading, at now: Moment
  ) throws(ControlError) -> BackendRow {
    let backend = try installedBackend(name, in: pool)
    let rows = backendFacts(of: [pool], forwarded(counters, at: now), checks, at: now)
    guard let facts = rows.first(where: { $0.backend.number == backend.number }) else {
      throw ControlError.notFound("backend", name, among: rows.map(\.backend.name))
    }
    return BackendRow(facts)
  }

  /// How far the drain of a backend has come, by the last census.
  /// - Parameters:
  ///   - quiet: seconds; nil: as the pool says.
  ///   - silent: seconds without a packet after which a flow counts as silent; nil: ``DrainProgress/silentAfter``.
  func drainStatus(
    of name: String, in pool: String, quiet: Int?, silent: Int?, _ flowEvents: FlowEvents, at now: Moment
  ) throws(ControlError) -> DrainStatus {
    let backend = try installedBackend(name, in: pool)
    let progress = draining.progress(of: backend.number, by: flows.census, at: now)
    let isLeaving = health.checkKey(of: backend).leaving != nil
    let wanted = forwarding.desired.pool(named: pool)?.backend(named: name)
    let (quiet, silent) = (quiet ?? configuration.drain(of: pool).quiet, silent ?? DrainProgress.silentAfter)
    return DrainStatus(
      pool: pool, backend: name, state: isLeaving ? "leaving" : wanted?.state.rawValue ?? "leaving",
      flows: progress.flows, activeFlows: progress.activeFlows(silentAfter: silent),
      silentAfterS: Double(silent), lastNewS: progress.lastNew, quietS: Double(quiet),
      drained: progress.isOver(quiet: quiet), onlySilent: progress.isOnlySilent(after: silent, quiet: quiet),
      unconfirmed: progress.unconfirmed,
      unwritten: draining.unwritten(sinceDrainOf: backend.number, total: flowEvents.unwritten),
      trouble: flows.trouble)
  }
}

extension BackendRow {
  init(_ facts: BackendFacts) {
    let (backend, path) = (facts.backend, facts.path)
    self.init(
      pool: backend.pool, name: backend.name, address: backend.address.description, weight: facts.weight,
      state: facts.state, health: facts.health.rawValue, reason: facts.reason, share: facts.share,
      flows: facts.progress.flows, lastNewS: facts.progress.lastNew, drained: facts.isDrained,
      packets: facts.counted.packets, bytes: facts.counted.bytes, via: path?.via?.description,
      mac: path?.state.mac.flatMap { HardwareAddress(octets: $0) }.map { "\($0)" }, mtu: path?.state.mtu,
      trouble: path?.trouble, override: facts.override.map(Override.init))
  }
}

extension BackendRow.Override {
  init(_ override: BackendOverride) {
    let provenance = override.provenance
    self.init(
      changes: override.changes, by: provenance.by,
      at: Date(timeIntervalSince1970: provenance.at).formatted(.iso8601), reason: provenance.reason)
  }
}
