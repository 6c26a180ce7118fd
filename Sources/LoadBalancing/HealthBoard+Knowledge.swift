// SPDX-License-Identifier: Apache-2.0

extension HealthBoard {
  /// What a probe asks, independent of names.
  struct Question: Hashable {
    var address: IPAddress
    var destination: IPAddress
    var port: UInt16
    var kind: HealthCheck.Kind
    var via: HealthCheck.Via
  }

  /// A board's knowledge by what was asked, for pools and backends that get another name.
  final class Knowledge {
    private let board: HealthBoard
    // Built only on demand: there may be thousands of targets.
    private lazy var trackers = judgedTrackers()
    private lazy var jobs = Dictionary(grouping: board.jobs.values, by: \.address)

    init(of board: HealthBoard) { self.board = board }

    func tracker(of job: Job) -> HealthTracker? { trackers[job.question] }

    /// The checks of the backends with an address.
    func jobs(at address: IPAddress) -> [Job] { jobs[address] ?? [] }

    private func judgedTrackers() -> [Question: HealthTracker] {
      var trackers: [Question: HealthTracker] = [:]
      for entry in board.entries.sorted(by: { $0.job.target < $1.job.target }) {
        let known = trackers[entry.job.question]
        // If several targets ask the same, the worst state counts, as for several targets of a backend.
        if entry.tracker.isJudged, known.map({ entry.tracker.state.rank < $0.state.rank }) ?? true {
          trackers[entry.job.question] = entry.tracker
        }
      }
      return trackers
    }
  }

  /// The former pool that `pool` continues under another name: one that is gone and had at least half of its backends.
  /// - Parameter continued: former pools that other new pools continue.
  func predecessor(of pool: Pool, among desired: [Pool], except continued: Set<String>) -> PoolTracker? {
    let names = Set(desired.map(\.name)).union(continued)
    let addresses = Set(pool.backends.map(\.address))
    let found = pools.filter { !names.contains($0.name) && !$0.isGone }.map { tracker in
      (
        tracker,
        shared: Set(tracker.members.filter { $0.leaving == nil }.map(\.address)).intersection(addresses).count
      )
    }.filter { $0.shared > 0 && $0.shared * 2 >= addresses.count }
    return found.min { (-$0.shared, $0.0.name) < (-$1.shared, $1.0.name) }?.0
  }
}

extension HealthBoard.Job {
  var question: HealthBoard.Question {
    HealthBoard.Question(
      address: address, destination: destination, port: port, kind: check.kind, via: check.via)
  }
}
