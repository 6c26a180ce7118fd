// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import UnixSignals

/// SIGHUP while the daemon starts, when nobody listens yet: it must not end the process, and is not forgotten.
enum EarlyHangup {
  private static let came = Atomic(false)

  /// From now on, until somebody traps the signal. Makes no thread.
  static func keep() {
    // What is static is made at its first use, and that must not be in a signal handler.
    came.store(false, ordering: .relaxed)
    signal(SIGHUP) { _ in EarlyHangup.came.store(true, ordering: .relaxed) }
  }

  /// Whether there was one; asked a second time, whether there was another.
  static func take() -> Bool { came.exchange(false, ordering: .relaxed) }
}

/// Signals that mean nothing here, and would end the daemon as they come by default.
enum UnusedSignals {
  static func ignore() {
    signal(SIGUSR1, SIG_IGN)
    signal(SIGUSR2, SIG_IGN)
  }
}

/// SIGHUP: read the configuration again.
struct ReloadOnHangup: Service {
  let reconciler: Reconciler

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    if EarlyHangup.take() { await reconciler.reload(because: "SIGHUP") }
    for await _ in signals.cancelOnGracefulShutdown() { await reconciler.reload(because: "SIGHUP") }
  }
}

/// Health: what the checks decide is put in force, and they end with the daemon.
struct HealthWatch: Service {
  let reconciler: Reconciler

  func run() async throws {
    guard let checks = await reconciler.checks else { return }
    for await _ in checks.decisions.cancelOnGracefulShutdown() { await reconciler.healthDecided() }
    checks.stop()
  }
}

/// The end of the daemon, told to those who follow events.
struct EndOfEvents: Service {
  let events: EventLog

  func run() async throws {
    try? await gracefulShutdown()
    events.append(type: "daemon", object: "sluiced", new: "stopped")
    events.end()
  }
}

/// Time: every ten seconds, what has grown old is put away, what failed is tried again, and what the kernel does not
/// tell of is looked at.
struct Tidying: Service {
  let reconciler: Reconciler

  func run() async throws {
    while !Task.isShuttingDownGracefully {
      await reconciler.tidy()
      await reconciler.networkChanged()
      if await reconciler.isReloadDue { await reconciler.reload(because: "sluiced, trying again") }
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(10)) }
    }
  }
}
