// SPDX-License-Identifier: Apache-2.0
internal import DequeModule
internal import Dispatch
internal import Foundation
internal import Synchronization

/// The threads that requests are decoded and answered on.
///
/// Encoding a large answer takes long. On Swift's cooperative pool, which has a thread for each CPU, a few clients
/// would keep health and changes waiting.
final class RequestThreads: TaskExecutor {
  static let shared = RequestThreads(count: 2)

  private let jobs = Mutex<Deque<UnownedJob>>([])
  private let arrival = DispatchSemaphore(value: 0)

  private init(count: Int) {
    for _ in 0..<count {
      Thread.detachNewThread { [self] in
        while true {
          arrival.wait()
          guard let job = jobs.withLock({ $0.popFirst() }) else { continue }
          unsafe job.runSynchronously(on: asUnownedTaskExecutor())
        }
      }
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
    arrival.signal()
  }
}
