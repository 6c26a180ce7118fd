// SPDX-License-Identifier: Apache-2.0
internal import Netlink
internal import ServiceLifecycle

/// Follows links, routes, neighbours and addresses, and tells the reconciler: once per burst of changes.
struct NetworkWatch: Service {
  let reconciler: Reconciler

  func run() async throws {
    let monitor = try NetlinkMonitor()
    let (bursts, burst) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    await withTaskGroup { group in
      group.addTask {
        for await _ in monitor.events.cancelOnGracefulShutdown() { burst.yield() }
        burst.finish()
      }
      burst.yield()
      for await _ in bursts {
        await reconciler.networkChanged()
        // What happens in the meantime is one burst, and gets one look.
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
    monitor.cancel()
  }
}
