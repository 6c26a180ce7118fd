// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The clock of probes: CLOCK_MONOTONIC, which is independent of the time of day.
public enum ProbeClock {
  public static var now: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
