// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import LoadBalancing

/// What was read of the health checks at one moment.
struct CheckReading: Sendable {
  var board = HealthBoard()
  var counts = CheckCounts()
  /// Probes in flight.
  var inFlight = 0

  var healths: [BackendKey: (state: HealthState, reason: String?)] { board.healths }

  /// A row for each target that a filter accepts, in order.
  func rows(at now: Moment, where isWanted: (BackendKey) -> Bool = { _ in true }) -> [CheckRow] {
    board.jobs.values.filter { isWanted($0.target.backend) }.sorted { $0.target < $1.target }.map {
      row($0, at: now)
    }
  }

  private func row(_ job: HealthBoard.Job, at now: Moment) -> CheckRow {
    let record = board.record(of: job.target)
    let failure = record?.latest?.outcome.failure
    func text(_ instant: Duration) -> String {
      now.wall.addingTimeInterval((instant - now.uptime).seconds).formatted(.iso8601)
    }
    return CheckRow(
      pool: job.target.backend.pool, backend: job.target.backend.backend, target: "\(job.destination)",
      port: job.port == 0 ? nil : Int(job.port), type: job.check.kind.name, via: job.check.via.rawValue,
      state: (record?.state ?? .unchecked).rawValue, since: text(record?.since ?? now.uptime),
      passed: record?.passed ?? 0, failed: record?.failed ?? 0,
      lastAt: (record?.latest?.endedAt).map(text),
      lastMs: (record?.latest?.outcome.duration.seconds).map { ($0 * 1_000_000).rounded() / 1000 },
      layer: failure?.layer.rawValue, reason: failure?.reason, heldUntil: (record?.heldUntil).map(text))
  }

  /// The target that a diagnosis looks at: the one at `address` if there is one, else the worst.
  func job(of backend: BackendKey, at address: IPAddress?) -> HealthBoard.Job? {
    let jobs = board.worstFirst(board.jobs.keys.filter { $0.backend == backend }).compactMap {
      board.jobs[$0]
    }
    return jobs.first { $0.destination == address } ?? jobs.first
  }
}

extension Snapshot {
  /// All checks, or those of a pool, or of one of its backends.
  func checkRows(
    of backend: String?, in pool: String?, _ checks: CheckReading, at now: Moment
  ) throws(ControlError) -> [CheckRow] {
    if let pool {
      if forwarding.desired.pool(named: pool) == nil, !forwarding.presentPools.contains(pool) {
        throw ControlError.notFound("pool", pool, among: forwarding.desired.pools.map(\.name))
      }
      if let backend { _ = try installedBackend(backend, in: pool) }
    }
    return checks.rows(at: now) { $0.pool == pool ?? $0.pool && $0.backend == backend ?? $0.backend }
  }
}
