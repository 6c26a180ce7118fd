// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// A SIGHUP that arrives while the daemon starts, before ``ReloadOnHangup`` runs. It must not end the process, as it does
/// by default, and the reload must not be lost.
enum EarlyHangup {
  private static let hasArrived = Atomic(false)

  /// Records SIGHUP until ``ReloadOnHangup`` traps it.
  static func record() {
    // A static property is made at its first use, which must not be in a signal handler.
    hasArrived.store(false, ordering: .relaxed)
    signal(SIGHUP) { _ in EarlyHangup.hasArrived.store(true, ordering: .relaxed) }
  }

  /// Whether a SIGHUP arrived since the last call.
  static func consume() -> Bool { hasArrived.exchange(false, ordering: .relaxed) }
}

/// Signals without a meaning here, which would end the daemon by default.
enum UnusedSignals {
  static func ignore() {
    signal(SIGUSR1, SIG_IGN)
    signal(SIGUSR2, SIG_IGN)
  }
}

/// Reads the configuration again at SIGHUP. Each signal is a change of its own in the mailbox.
struct ReloadOnHangup: Service {
  let loop: ControlLoop

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    if EarlyHangup.consume() { loop.reload(because: "SIGHUP") }
    for await _ in signals.cancelOnGracefulShutdown() { loop.reload(because: "SIGHUP") }
  }
}

/// Reports the end of the daemon to those who follow events.
struct EndOfEvents: Service {
  let events: EventLog

  func run() async throws {
    try? await gracefulShutdown()
    events.append(type: "daemon", object: "sluiced", new: "stopped")
    events.end()
  }
}

/// Posts the control plane's periodic inputs: a tick every ten seconds, at which drains end and failed work is tried
/// again; and every 250 ms, while the results of some checks say nothing about their backends, an update of the alarms.
struct PeriodicInputs: Service {
  private static let roundsPerTick = 40

  let loop: ControlLoop

  func run() async throws {
    var (round, wereUnjudged) = (0, false)
    while !Task.isShuttingDownGracefully, !Task.isCancelled {
      if round % Self.roundsPerTick == 0 { loop.post(.tick) }
      round += 1
      let areUnjudged = loop.hasUnjudgedChecks
      // Once more after the last one, so that its alarm ends.
      if areUnjudged || wereUnjudged { loop.post(.checksUnjudged) }
      wereUnjudged = areUnjudged
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .milliseconds(250)) }
    }
  }
}
