// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Probing

/// An instant, by two clocks: a monotonic one, and the time of day.
struct Moment: Hashable, Sendable {
  /// CLOCK_MONOTONIC, as ``ProbeClock`` reads it: the clock of health checks.
  let uptime: Duration
  /// The time of day as the system's clock was set then.
  let wall: Date

  /// The present.
  init() { self.init(uptime: ProbeClock.now, wall: Date()) }

  init(uptime: Duration, wall: Date) {
    self.uptime = uptime
    self.wall = wall
  }

  static var now: Moment { Moment() }

  func elapsed(at now: Moment) -> Duration { now.uptime - uptime }

  /// The time of day of this instant, by the system's clock as it is set at `now`: the difference to `now` is
  /// ``elapsed(at:)``.
  func date(at now: Moment) -> Date {
    let date = now.wall.addingTimeInterval(-elapsed(at: now).seconds)
    // The same text each time, unless the clock was set.
    return abs(date.timeIntervalSince(wall)) < 1 ? wall : date
  }

  func advanced(by duration: Duration) -> Moment {
    Moment(uptime: uptime + duration, wall: wall.addingTimeInterval(duration.seconds))
  }
}
