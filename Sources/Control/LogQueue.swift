// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Foundation
internal import Synchronization

/// Writes log lines to a descriptor on a thread of its own, so that no caller waits for the reader of the log.
///
/// The queue is bounded. A line that does not fit is dropped and counted; the next time the reader takes a line, it
/// also gets one that says how many were dropped.
public final class LogQueue: Sendable {
  /// The daemon's log: stderr.
  public static let standardError = LogQueue(descriptor: 2, limit: 256 << 10)

  private struct State {
    var waiting: [UInt8] = []
    /// Octets that a writer has taken from the queue and not written yet; nil: nothing is being written.
    var inHand: Int?
    /// Lines dropped since the last line that reported drops.
    var unreported = 0
    var hasThread = false

    var octets: Int { waiting.count + (inHand ?? 0) }
  }

  private let descriptor: Int32
  private let limit: Int
  private let state = Mutex(State())
  private let arrival = DispatchSemaphore(value: 0)
  private let droppedLines = Atomic<UInt64>(0)
  private let prefix = Mutex("")

  /// How long a line waits for the reader while there is no thread.
  private static let patienceWithoutThread: Int32 = 100
  /// Octets that a pipe accepts without blocking when poll(2) reports it as writable (PIPE_BUF).
  private static let chunk = 4096

  /// - Parameter limit: octets that may wait.
  init(descriptor: Int32, limit: Int) {
    self.descriptor = descriptor
    self.limit = limit
  }

  /// Lines dropped since the start.
  public var dropped: UInt64 { droppedLines.load(ordering: .relaxed) }

  /// The prefix of the line that reports drops, such as `<4>`.
  public func setPrefix(_ text: String) { prefix.withLock { $0 = text } }

  /// Adds a line. Returns at once when ``startThread()`` was called; before, it waits 100 ms for the reader at most.
  /// - Parameter line: with its line break.
  public func append(_ line: String) {
    let (fits, hasThread) = state.withLock { state in
      guard state.octets + line.utf8.count <= limit else {
        state.unreported += 1
        return (false, state.hasThread)
      }
      state.waiting += line.utf8
      return (true, state.hasThread)
    }
    if !fits { droppedLines.add(1, ordering: .relaxed) }
    if hasThread { arrival.signal() } else { write(patience: Self.patienceWithoutThread) }
  }

  /// Starts the thread. Until then callers write their lines themselves: before the daemon has given up its privileges,
  /// it must not have a second thread.
  public func startThread() {
    let isFirst = state.withLock { state in
      defer { state.hasThread = true }
      return !state.hasThread
    }
    guard isFirst else { return }
    Thread.detachNewThread { [self] in
      while true {
        arrival.wait()
        write(patience: -1)
      }
    }
    arrival.signal()
  }

  /// Waits until everything is written, up to a limit: for the end of the process.
  public func flush(within limit: Duration) {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
      let (isIdle, hasThread) = state.withLock { ($0.octets == 0, $0.hasThread) }
      if isIdle { return }
      if hasThread { usleep(2000) } else { write(patience: Self.patienceWithoutThread) }
    }
  }

  /// Writes the lines in the queue, unless another thread does.
  /// - Parameter patience: milliseconds to wait for the reader; -1: for ever.
  private func write(patience: Int32) {
    while let octets = take() {
      let rest = send(octets[...], patience: patience)
      state.withLock { state in
        state.waiting = rest + state.waiting
        state.inHand = nil
      }
      if !rest.isEmpty { return }
    }
  }

  private func take() -> [UInt8]? {
    let prefix = prefix.withLock(\.self)
    return state.withLock { state in
      guard state.inHand == nil else { return nil }
      var octets = state.waiting
      if state.unreported > 0 {
        // Lines were dropped because those before them filled the queue: this is where they are missing.
        let message = "lines of the log were dropped: nobody read them in time"
        octets += "\(prefix)\(state.unreported) \(message)\n".utf8
        state.unreported = 0
      }
      guard !octets.isEmpty else { return nil }
      state.waiting = []
      state.inHand = octets.count
      return octets
    }
  }

  /// - Returns: the octets that were not written; empty if all were, or if the descriptor accepts no more.
  private func send(_ octets: ArraySlice<UInt8>, patience: Int32) -> [UInt8] {
    var rest = octets
    while !rest.isEmpty {
      var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let ready = unsafe poll(&request, 1, patience)
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else { return Array(rest) }
      let count = unsafe rest.prefix(Self.chunk).withUnsafeBytes { bytes in
        unsafe Foundation.write(descriptor, bytes.baseAddress, bytes.count)
      }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { return [] }
      rest = rest.dropFirst(count)
    }
    return []
  }
}
