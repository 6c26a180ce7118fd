// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// SIGHUP: read the configuration again.
struct ReloadOnHangup: Service {
  let reconciler: Reconciler

  func run() async throws {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    for await _ in signals.cancelOnGracefulShutdown() { await reconciler.reload() }
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
      if await reconciler.isReloadDue { await reconciler.reload() }
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(10)) }
    }
  }
}
