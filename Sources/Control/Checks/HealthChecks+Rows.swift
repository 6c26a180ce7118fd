// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import LoadBalancing
internal import Probing

/// What the checks tell.
extension HealthChecks {
  /// A row for each way to each backend, in order.
  func rows() -> [CheckRow] {
    let clock = WallClock()
    return state.withLock { state in
      state.board.jobs.values.sorted { $0.target < $1.target }.map { job in
        row(job, state.board.record(of: job.target), clock)
      }
    }
  }

  private func row(_ job: HealthBoard.Job, _ record: TargetRecord?, _ clock: WallClock) -> CheckRow {
    let failure = record?.latest?.outcome.failure
    return CheckRow(
      pool: job.target.backend.pool, backend: job.target.backend.backend, target: "\(job.destination)",
      port: job.port == 0 ? nil : Int(job.port), type: job.check.kind.name, via: job.check.way.rawValue,
      state: (record?.state ?? .unchecked).rawValue, since: clock.text(record?.since ?? ProbeClock.now),
      passed: record?.passed ?? 0, failed: record?.failed ?? 0,
      lastAt: (record?.latest?.endedAt).map(clock.text),
      lastMs: (record?.latest?.outcome.duration.seconds).map { ($0 * 1_000_000).rounded() / 1000 },
      layer: failure?.layer.rawValue, reason: failure?.reason, heldUntil: (record?.heldUntil).map(clock.text))
  }

  /// The health of every backend that is checked, and why the worst way to it that failed last did so.
  func healths() -> [BackendKey: (state: HealthState, reason: String?)] {
    state.withLock { state in
      let board = state.board
      let targets = Dictionary(grouping: board.jobs.keys, by: \.backend)
      return Dictionary(
        uniqueKeysWithValues: targets.map { backend, targets in
          let reasons = board.worstFirst(targets).lazy.compactMap {
            board.record(of: $0)?.latest?.outcome.failure?.reason
          }
          return (backend, (board.state(of: backend), reasons.first))
        })
    }
  }

  /// The way to a backend that a diagnosis looks at: to `address` if that is one of its targets, else to the worst.
  func job(of backend: BackendKey, at address: IPAddress?) -> HealthBoard.Job? {
    state.withLock { state in
      let targets = state.board.worstFirst(state.board.jobs.keys.filter { $0.backend == backend })
      let jobs = targets.compactMap { state.board.jobs[$0] }
      return jobs.first { $0.destination == address } ?? jobs.first
    }
  }
}

/// Instants of the probes' clock as time of day.
private struct WallClock {
  private let now = (date: Date(), instant: ProbeClock.now)

  func text(_ instant: Duration) -> String {
    now.date.addingTimeInterval((instant - now.instant).seconds).formatted(.iso8601)
  }
}
