// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Glibc
import Synchronization

extension ConfigurationLoader {
  /// How long reading a configuration may take while the daemon runs.
  public static let readingTime = Duration.seconds(20)
  /// Readings that may hang at a time, each with a thread of its own.
  static let hangingReadings = 4

  /// Reads a configuration as ``load(path:candidate:)`` does, but returns when the time is over, also where a file
  /// system hangs. Blocks its caller; the reading itself happens on a thread of its own, which is left behind when it
  /// hangs.
  ///
  /// - Parameter reading: what reads.
  /// - Returns: a report with one error where the time is over, or where earlier readings still hang.
  public static func load(
    path: String, candidate: String? = nil, within time: Duration,
    reading: @escaping @Sendable (String, String?) -> ConfigurationReport = { load(path: $0, candidate: $1) }
  ) -> ConfigurationReport {
    guard TimedReading.running.add(1, ordering: .relaxed).newValue <= hangingReadings else {
      TimedReading.running.subtract(1, ordering: .relaxed)
      return failure(path, "earlier attempts to read the configuration still wait for a file system")
    }
    let pending = TimedReading { reading(path, candidate) }
    return pending.report(within: time)
      ?? failure(
        path,
        "reading the configuration took more than \(time.components.seconds) s: does a file system hang?")
  }

  private static func failure(_ path: String, _ message: String) -> ConfigurationReport {
    ConfigurationReport(
      configuration: nil,
      diagnostics: [
        Diagnostic(
          severity: .error, code: .unreadableFile, file: path, line: 1, column: 1, endColumn: 1,
          message: message)
      ])
  }
}

/// One reading on a thread of its own.
private final class TimedReading: Sendable {
  /// Readings whose threads have not ended.
  static let running = Atomic(0)

  private let body: @Sendable () -> ConfigurationReport
  private let outcome = Mutex<ConfigurationReport?>(nil)
  private let done = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () -> ConfigurationReport) {
    self.body = body
    let retained = unsafe Unmanaged.passRetained(self)
    var thread = pthread_t()
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        let reading = unsafe Unmanaged<TimedReading>.fromOpaque(argument!).takeRetainedValue()
        reading.run()
        return nil
      }, unsafe retained.toOpaque())
    if result == 0 {
      pthread_detach(thread)
    } else {
      unsafe retained.release()
      run()
    }
  }

  private func run() {
    let report = body()
    outcome.withLock { $0 = report }
    Self.running.subtract(1, ordering: .relaxed)
    done.signal()
  }

  /// - Returns: nil where the time was over first.
  func report(within time: Duration) -> ConfigurationReport? {
    let nanoseconds = time / .nanoseconds(1)
    guard done.wait(timeout: .now() + .nanoseconds(Int(nanoseconds))) == .success else { return nil }
    return outcome.withLock(\.self)
  }
}
