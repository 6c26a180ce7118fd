// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// The number of changes of a value, and the time of the latest, as far as this daemon knows.
struct Changes {
  private(set) var count: UInt64 = 0
  private(set) var latest: Date

  init(since latest: Date) { self.latest = latest }

  mutating func add(at now: Date) {
    count += 1
    latest = now
  }
}

/// The administrative states of installed backends: ready, drain, maint, leaving.
struct StateHistory {
  private struct Record {
    var state: String
    var changes: Changes
  }

  private var records: [BackendNumber: Record] = [:]

  /// Records the state of a backend as it is now.
  mutating func note(_ state: String, of number: BackendNumber, at now: Date) {
    guard let record = records[number] else {
      records[number] = Record(state: state, changes: Changes(since: now))
      return
    }
    guard record.state != state else { return }
    records[number]?.state = state
    records[number]?.changes.add(at: now)
  }

  /// Forgets backends that are not installed any more; another one may have their number next.
  mutating func keep(_ installed: [BackendNumber: InstalledState.Backend]) {
    guard records.contains(where: { installed[$0.key] == nil }) else { return }
    records = records.filter { installed[$0.key] != nil }
  }

  func state(of number: BackendNumber) -> String? { records[number]?.state }

  subscript(number: BackendNumber) -> Changes? { records[number]?.changes }
}
