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
    let facts = backendFacts(of: pool.map { [$0] }, forwarded(counters), checks, at: now)
    var texts = HopTexts()
    return facts.map { BackendRow($0, &texts) }
  }

  func backend(
    _ name: String, in pool: String, _ counters: CounterReading, _ checks: CheckReading, at now: Moment
  ) throws(ControlError) -> BackendRow {
    let backend = try installedBackend(name, in: pool)
    let rows = backendFacts(of: [pool], forwarded(counters), checks, at: now)
    guard let facts = rows.first(where: { $0.backend.number == backend.number }) else {
      throw ControlError.notFound("backend", name, among: rows.map(\.backend.name))
    }
    var texts = HopTexts()
    return BackendRow(facts, &texts)
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

/// The texts of next hops: many backends have the same one.
private struct HopTexts {
  private var vias: [IPAddress: String] = [:]
  private var macs: [HardwareAddress: String] = [:]

  subscript(via: IPAddress) -> String {
    mutating get { Self.text(of: via, &vias) }
  }

  subscript(mac: HardwareAddress) -> String {
    mutating get { Self.text(of: mac, &macs) }
  }

  private static func text<Address: Hashable & CustomStringConvertible>(
    of address: Address, _ known: inout [Address: String]
  ) -> String {
    if let text = known[address] { return text }
    let text = address.description
    known[address] = text
    return text
  }
}

extension BackendRow {
  fileprivate init(_ facts: BackendFacts, _ texts: inout HopTexts) {
    let (backend, path) = (facts.backend, facts.path)
    self.init(
      pool: backend.pool, name: backend.name, address: backend.address.description, weight: facts.weight,
      state: facts.state, health: facts.health.rawValue, reason: facts.reason, share: facts.share,
      flows: facts.progress.flows, lastNewS: facts.progress.lastNew, drained: facts.isDrained,
      packets: facts.counted.packets, bytes: facts.counted.bytes, via: path?.via.map { texts[$0] },
      mac: path?.state.mac.map { texts[$0] }, mtu: path?.state.mtu,
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
