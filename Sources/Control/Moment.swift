// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// A moment of this process's life. Durations since it follow a clock that no setting of the time of day moves.
struct Moment: Sendable {
  private let instant = ContinuousClock.now
  /// What the clock on the wall said then.
  private let recorded = Date()

  var elapsed: Duration { instant.duration(to: .now) }

  /// The time of day of the moment, by the clock on the wall as it is set now: the difference to the present is
  /// ``elapsed``.
  var date: Date {
    let date = Date().addingTimeInterval(-elapsed.seconds)
    // The same text each time, unless the clock was set.
    return abs(date.timeIntervalSince(recorded)) < 1 ? recorded : date
  }
}
