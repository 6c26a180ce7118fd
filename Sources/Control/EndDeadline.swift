// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Foundation
internal import Logging
internal import Synchronization

/// Ends the process if its orderly end takes too long because of clients, files or the kernel.
///
/// Nothing is lost: forwarding is in the kernel, and state is saved when it changes.
enum EndDeadline {
  /// The longest time from SIGTERM to the end; operators expect 5 s.
  static let time = 4.5

  private static let hasBegun = Atomic(false)

  /// Watches for SIGTERM and SIGINT from now on. On a queue of its own: Swift's cooperative threads may all be busy.
  static func begin(onSignals signals: [Int32], logger: Logger) {
    let queue = DispatchQueue(label: "sluice.end")
    for signal in signals {
      let source = DispatchSource.makeSignalSource(signal: signal, queue: queue)
      source.setEventHandler {
        // The handler keeps the source alive.
        withExtendedLifetime(source) { begin(exitCode: 0, logger: logger) }
      }
      source.resume()
    }
  }

  /// Starts the deadline. A second call has no effect.
  /// - Parameter exitCode: the exit code at the deadline.
  static func begin(exitCode: Int32, logger: Logger) {
    guard !hasBegun.exchange(true, ordering: .relaxed) else { return }
    Thread.detachNewThread {
      Thread.sleep(forTimeInterval: time)
      logger.warning("not everything ended in time; the process ends now", metadata: ["seconds": "\(time)"])
      LogQueue.standardError.flush(within: .milliseconds(200))
      _exit(exitCode)
    }
  }
}
