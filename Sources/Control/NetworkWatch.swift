// SPDX-License-Identifier: Apache-2.0
internal import Netlink
internal import ServiceLifecycle

/// Follows links, routes, neighbours and addresses, and posts one input for each burst of changes.
struct NetworkWatch: Service {
  let loop: ControlLoop

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
        loop.post(.networkChanged)
        // Changes of the next 20 ms are one burst.
        try? await Task.sleep(for: .milliseconds(20))
      }
    }
    monitor.cancel()
  }
}
