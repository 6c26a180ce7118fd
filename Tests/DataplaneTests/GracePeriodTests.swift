// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Dataplane
import Foundation
import Synchronization
import Testing

/// What is written next to where packets read is written after ``GracePeriod/wait()`` alone.
@Suite("Grace period", .serialized)
struct GracePeriodTests {
  private static let slots = 8_388_608

  @Test(
    "waiting for readers outlasts one that is under way, however long it takes",
    arguments: [GracePeriod.Means.membarrier, .mapOfMaps])
  func outlasts(by means: GracePeriod.Means) throws {
    let gracePeriod = try GracePeriod(by: means)
    var object = try BPFObject.open(ForwarderObject.embedded)
    try object.setMaxEntries(map: "slots", UInt32(Self.slots))
    try object.setMaxEntries(map: "hot_slots", UInt32(Self.slots / 2))
    let program = try object.load().program("sum_slots")
    var frame = [UInt8](repeating: 0, count: 64)
    withUnsafeBytes(of: slot_run(first: 0, count: UInt32(Self.slots))) {
      frame.replaceSubrange(0..<8, with: $0)
    }
    let input = frame
    for _ in 0..<5 {
      let reader = Mutex<CPUClock?>(nil)
      let took = Mutex<Duration?>(nil)
      let group = DispatchGroup()
      let start = ContinuousClock.now
      DispatchQueue.global().async(group: group) {
        reader.withLock { $0 = CPUClock() }
        let run = try? program.testRun(input: input)
        took.withLock { $0 = run.map { .nanoseconds(Int($0.nanoseconds)) } }
      }
      // The reader computes nothing before the program.
      while reader.withLock({ $0?.elapsed ?? .zero }) < .milliseconds(5) { usleep(100) }
      try gracePeriod.wait()
      let waited = ContinuousClock.now - start
      group.wait()
      let run = try #require(took.withLock { $0 })
      #expect(run > .milliseconds(20), "the reader is too quick to tell: \(run)")
      #expect(waited > run * 0.9, "waited for \(waited), while a reader was under way for \(run)")
    }
  }
}

/// Time that the thread which made it has computed since.
private struct CPUClock: Sendable {
  private let clock: clockid_t
  private let start: Duration

  init() {
    var clock = clockid_t()
    pthread_getcpuclockid(pthread_self(), &clock)
    self.clock = clock
    start = Self.time(of: clock)
  }

  var elapsed: Duration { Self.time(of: clock) - start }

  private static func time(of clock: clockid_t) -> Duration {
    var time = timespec()
    clock_gettime(clock, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
