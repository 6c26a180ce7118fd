// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// The backends that drain or leave, and since when.
struct Draining: Equatable, Sendable {
  private struct Record: Equatable {
    /// When the drain began, as far as this daemon knows.
    var since: Moment
    /// Packets that could not be written into the flow table until then; nil: not known.
    var unwritten: UInt64?
    /// Whether the end of the drain was reported.
    var isReported = false
  }

  private var records: [BackendNumber: Record] = [:]

  var numbers: Set<BackendNumber> { Set(records.keys) }

  /// Updates the list to the installed state. To be called after every plan that was applied.
  /// - Parameter unwritten: packets that could not be written into the flow table so far; nil: not known.
  mutating func follow(_ installed: InstalledState, unwritten: UInt64?, at now: Moment) {
    var current: [BackendNumber: Record] = [:]
    for number in installed.index.draining {
      var record = records[number] ?? Record(since: now, unwritten: unwritten)
      // The count is unknown at the start, and known with the first plan.
      record.unwritten = record.unwritten ?? unwritten
      current[number] = record
    }
    records = current
  }

  func since(_ number: BackendNumber) -> Moment? { records[number]?.since }

  func progress(of number: BackendNumber, by census: Census?, at now: Moment) -> DrainProgress {
    DrainProgress(
      of: number, by: census?.found, age: census?.age(at: now) ?? 0,
      draining: since(number)?.elapsed(at: now).seconds)
  }

  /// Packets of new and unknown flows, of all backends, that could not be written since the drain of a backend began:
  /// new connections among them may have gone to that backend.
  /// - Parameter total: packets that could not be written so far.
  func unwritten(sinceDrainOf number: BackendNumber, total: UInt64) -> Int {
    guard let before = records[number]?.unwritten else { return 0 }
    return Int(clamping: total &- before)
  }

  /// Leaving backends whose drain is over, or has reached its timeout.
  /// - Parameter drain: the settings of a pool, by its name.
  func expired(
    in installed: InstalledState, by census: Census?, drain: (String) -> Drain, at now: Moment
  ) -> Set<BackendNumber> {
    guard !records.isEmpty else { return [] }
    return installed.endedLeaves(
      by: census?.found, age: census?.age(at: now) ?? 0,
      draining: records.mapValues { $0.since.elapsed(at: now).seconds }, drain: drain)
  }

  /// Reports each drain that is over, once. A backend that leaves is reported when it is released.
  mutating func reportEnded(
    in installed: InstalledState, by census: Census?, drain: (String) -> Drain, at now: Moment
  ) -> [Notice] {
    var notices: [Notice] = []
    for (number, record) in records.sorted(by: { $0.key < $1.key }) where !record.isReported {
      guard let backend = installed.backends[number], backend.isDraining, !backend.isLeaving,
        progress(of: number, by: census, at: now).isOver(quiet: drain(backend.pool).quiet)
      else { continue }
      records[number]?.isReported = true
      notices.append(.backend(backend, old: "state drain", new: "drained"))
    }
    return notices
  }

  /// Why the daemon itself releases a leaving backend; nil: it was not leaving.
  func reasonForRelease(
    of backend: InstalledState.Backend, by census: Census?, _ drain: Drain, at now: Moment
  ) -> String? {
    guard backend.isLeaving else { return nil }
    return progress(of: backend.number, by: census, at: now).isOver(quiet: drain.quiet)
      ? "its drain is over" : "drain timeout of \(drain.timeout) s"
  }
}
