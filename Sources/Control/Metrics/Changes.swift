// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import LoadBalancing

/// How often something became another, and when it became what it is, as far as this daemon knows.
struct Changes {
  private(set) var count: UInt64 = 0
  private(set) var latest: Date

  init(since latest: Date) { self.latest = latest }

  mutating func add(at now: Date) {
    count += 1
    latest = now
  }
}

/// What operators made of the backends that are installed: ready, drain, maint, leaving.
struct StateHistory {
  private struct Record {
    var state: String
    var changes: Changes
  }

  private var records: [BackendNumber: Record] = [:]

  /// - Parameter states: of all backends; those that are not among them are forgotten.
  mutating func follow(_ states: [BackendNumber: String], at now: Date) {
    var next: [BackendNumber: Record] = [:]
    for (number, state) in states {
      var record = records[number] ?? Record(state: state, changes: Changes(since: now))
      if record.state != state { record.changes.add(at: now) }
      record.state = state
      next[number] = record
    }
    records = next
  }

  subscript(number: BackendNumber) -> Changes? { records[number]?.changes }
}
