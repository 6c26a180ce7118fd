// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A probe that has not begun.
final class ProbeRequest: Sendable {
  let probe: Probe
  let done: ProbeLoop.Done

  init(_ probe: Probe, _ done: @escaping ProbeLoop.Done) {
    self.probe = probe
    self.done = done
  }

  func fail(_ failure: ProbeOutcome.Failure) {
    done(ProbeOutcome(failure: failure, duration: .zero), ProbeClock.now)
  }
}

/// What the prober's thread does at an instant.
struct ProbeTimer: Comparable, Sendable {
  enum Action {
    case call(@Sendable () -> Void)
    case begin(ProbeRequest)
    case beginNext
    /// The time of a run is over, by its number; it may have ended before.
    case deadline(UInt64)
  }

  var at: Duration
  /// What comes first of those that are due together.
  var number: UInt64 = 0
  var action: Action

  var isDeadline: Bool { if case .deadline = action { true } else { false } }

  static func < (left: Self, right: Self) -> Bool { (left.at, left.number) < (right.at, right.number) }
  static func == (left: Self, right: Self) -> Bool { left.number == right.number }
}
