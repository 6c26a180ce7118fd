// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// A probe that has not started.
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

/// An action of the prober's thread at a given time.
struct ProbeTimer: Comparable, Sendable {
  enum Action {
    case call(@Sendable () -> Void)
    case begin(ProbeRequest)
    case beginNext
    /// The deadline of the run with this number, which may have ended.
    case deadline(UInt64)
  }

  var at: Duration
  /// The order of timers that are due at the same time.
  var number: UInt64 = 0
  var action: Action

  var isDeadline: Bool { if case .deadline = action { true } else { false } }

  static func < (left: Self, right: Self) -> Bool { (left.at, left.number) < (right.at, right.number) }
  static func == (left: Self, right: Self) -> Bool { left.number == right.number }
}
