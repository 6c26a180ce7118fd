// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Synchronization

/// A thread that does one piece of work after the other, in the order in which they came. What blocks there blocks
/// nothing else: neither other workers nor Swift's cooperative threads.
///
/// The thread is made with the first piece of work, so that it gets no capability that the process has given up by
/// then.
final class Worker: Sendable {
  private struct State {
    var work: [@Sendable () -> Void] = []
    var hasThread = false
  }

  private let name: String
  private let state = Mutex(State())
  private let isWanted = DispatchSemaphore(value: 0)
  /// Parsers recurse; the default for threads is too small for them.
  private static let stackSize = 8 << 20

  init(_ name: String) { self.name = name }

  /// Adds a piece of work. Returns at once.
  func enqueue(_ work: @escaping @Sendable () -> Void) {
    let needsThread = state.withLock { state in
      state.work.append(work)
      defer { state.hasThread = true }
      return !state.hasThread
    }
    if needsThread {
      let thread = Thread { [self] in run() }
      thread.name = name
      thread.stackSize = Self.stackSize
      thread.start()
    }
    isWanted.signal()
  }

  /// Does a piece of work and returns its result.
  func perform<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      enqueue { continuation.resume(with: Swift.Result { try work() }) }
    }
  }

  private func run() -> Never {
    while true {
      isWanted.wait()
      let next = state.withLock { $0.work.isEmpty ? nil : $0.work.removeFirst() }
      next?()
    }
  }
}
