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

  /// The health of every backend that is checked, and why a way to it last failed.
  func healths() -> [BackendKey: (state: HealthState, reason: String?)] {
    state.withLock { state in
      var found: [BackendKey: (state: HealthState, reason: String?)] = [:]
      for target in state.board.jobs.keys {
        let reason = state.board.record(of: target)?.latest?.outcome.failure?.reason
        found[target.backend] = (
          state.board.state(of: target.backend), found[target.backend]?.reason ?? reason
        )
      }
      return found
    }
  }

  /// The way to a backend that a diagnosis looks at: to `address` if that is one of its targets, else to the worst.
  func job(of backend: BackendKey, at address: IPAddress?) -> HealthBoard.Job? {
    state.withLock { state in
      let targets = state.board.jobs.keys.filter { $0.backend == backend }.sorted()
      let target =
        address.map { address in targets.first { state.board.jobs[$0]?.destination == address } }
        ?? targets.first { state.board.record(of: $0)?.latest?.outcome.hasPassed == false } ?? targets.first
      return target.flatMap { state.board.jobs[$0] }
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
