// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import ServiceLifecycle
internal import Synchronization

/// Why nothing listens on `status.listen`, for the alarm `not-listening`.
final class ListenerTrouble: Sendable {
  private let state = Mutex<String?>(nil)
  private let changed: @Sendable (String?) -> Void

  /// - Parameter changed: gets every other message.
  init(changed: @escaping @Sendable (String?) -> Void = { _ in }) { self.changed = changed }

  /// nil: it listens, or is not to.
  var message: String? { state.withLock(\.self) }

  /// - Returns: whether that is another message than before.
  func set(_ message: String?) -> Bool {
    let isNew = state.withLock { state in
      defer { state = message }
      return state != message
    }
    if isNew { changed(message) }
    return isNew
  }
}

/// Status and metrics over TCP. Where the address cannot be bound, the daemon goes on without, and tries again.
struct StatusListener: Service {
  /// As the configuration has it.
  let address: String
  let server: ControlServer
  let trouble: ListenerTrouble
  let logger: Logger
  var retry = Duration.seconds(5)

  func run() async throws {
    while !Task.isShuttingDownGracefully, !Task.isCancelled {
      let reason: String
      do {
        var server = server
        server.onRunning = {
          if trouble.set(nil) { logger.notice("listening", metadata: ["address": "\(address)"]) }
        }
        try await server.run()
        reason = "it was closed"
      } catch {
        reason = "\(error)"
      }
      if Task.isShuttingDownGracefully || Task.isCancelled { return }
      if trouble.set("nothing listens on \(address): \(reason)") {
        logger.error("cannot listen", metadata: ["address": "\(address)", "error": "\(reason)"])
      }
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: retry) }
    }
  }
}
