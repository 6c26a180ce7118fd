// SPDX-License-Identifier: Apache-2.0
internal import ServiceLifecycle
internal import Synchronization

/// Why the daemon ended after its start.
public struct DaemonFailure: Error, CustomStringConvertible {
  public let description: String
  /// Whether packets are forwarded without the daemon.
  let isForwarding: Bool

  /// What the log says, before the reason.
  public var message: String {
    isForwarding ? "failed; forwarding goes on without the daemon" : "failed; nothing is forwarded"
  }
}

/// Which of the control and the status socket have been served.
final class ServedSockets: Sendable {
  private let count = Atomic(0)

  func add() { count.wrappingAdd(1, ordering: .relaxed) }

  /// Whether both were: the start is over.
  var areServed: Bool { count.load(ordering: .relaxed) == 2 }

  /// - Parameter isForwarding: whether packets are forwarded without the daemon.
  /// - Returns: a failure of the start as it is, and one after the start as such.
  func failure(_ error: any Error, isForwarding: Bool) -> any Error {
    areServed ? DaemonFailure(description: "\(error)", isForwarding: isForwarding) : error
  }
}

/// A service whose end ends the daemon. The others end in an orderly way, and within the time of ``EndDeadline``.
struct Vital<Body: Service>: Service {
  struct Ended: Error, CustomStringConvertible {
    let description: String
  }

  let name: String
  let body: Body
  /// Called when it ended by itself.
  let failed: @Sendable () -> Void

  func run() async throws {
    do {
      try await body.run()
      guard Task.isShuttingDownGracefully || Task.isCancelled else {
        throw Ended(description: "\(name) was closed")
      }
    } catch {
      failed()
      throw error
    }
  }
}
