// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import Testing

@testable import Control

/// The log never keeps its writers waiting.
@Suite struct LogQueueTests {
  /// A pipe of 4 KiB.
  struct Pipe {
    let reading: Int32
    let writing: Int32

    init() {
      // As in the daemon: a writer is left behind when the reader is gone.
      signal(SIGPIPE, SIG_IGN)
      var ends: [Int32] = [0, 0]
      #expect(pipe(&ends) == 0)
      (reading, writing) = (ends[0], ends[1])
      // 1031: F_SETPIPE_SZ, which glibc hides without _GNU_SOURCE.
      _ = fcntl(writing, 1031, 4096)
      _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    }

    /// What is read until a text is in it.
    func read(until text: String) async throws -> String {
      var octets: [UInt8] = []
      var part = [UInt8](repeating: 0, count: 65536)
      for _ in 0..<1000 {
        let count = Foundation.read(reading, &part, part.count)
        if count > 0 { octets += part[..<count] } else { try await Task.sleep(for: .milliseconds(5)) }
        if String(decoding: octets, as: UTF8.self).contains(text) { break }
      }
      return String(decoding: octets, as: UTF8.self)
    }

    /// The writer's end stays open. The queue's thread may still write to its number, which would then be that of
    /// another test's file.
    func close() { Foundation.close(reading) }
  }

  /// How many lines the log says were dropped.
  private func reported(_ text: String) -> UInt64 {
    text.split(separator: "\n").filter { $0.hasPrefix("<4>") && $0.contains("were dropped") }
      .compactMap { UInt64($0.dropFirst(3).prefix { $0.isNumber }) }.reduce(0, +)
  }

  @Test func aReaderThatIsGoneForAWhileCostsLinesAndNoTime() async throws {
    let pipe = Pipe()
    let queue = LogQueue(descriptor: pipe.writing, limit: 20_000)
    queue.setPrefix("<4>")
    queue.startThread()
    let begun = ContinuousClock.now
    for number in 0..<10_000 { queue.append("line \(number)\n") }
    #expect(begun.duration(to: .now) < .seconds(2))
    let dropped = queue.dropped
    #expect(dropped > 5_000 && dropped < 10_000)

    var text = ""
    while reported(text) < dropped {
      let more = try await pipe.read(until: "dropped")
      if more.isEmpty { break }
      text += more
    }
    let kept = text.split(separator: "\n").filter { $0.hasPrefix("line ") }
    #expect(kept.elementsEqual((0..<kept.count).map { "line \($0)" }))
    #expect(kept.count == 10_000 - Int(dropped))
    #expect(reported(text) == dropped)
    queue.append("after\n")
    #expect(try await pipe.read(until: "after\n").hasSuffix("after\n"))
    #expect(queue.dropped == dropped)
    pipe.close()
  }

  @Test func withoutAThreadTheCallerWritesAndWaitsShortly() async throws {
    let pipe = Pipe()
    let queue = LogQueue(descriptor: pipe.writing, limit: 1 << 16)
    queue.append("first\n")
    #expect(try await pipe.read(until: "first\n") == "first\n")
    let begun = ContinuousClock.now
    let long = String(repeating: "x", count: 3000) + "\n"
    for _ in 0..<3 { queue.append(long) }
    #expect(begun.duration(to: .now) < .seconds(2))
    #expect(queue.dropped == 0)
    // A thread that comes later writes what is left, in order and whole.
    queue.startThread()
    queue.append("last\n")
    #expect(try await pipe.read(until: "last\n") == String(repeating: long, count: 3) + "last\n")
    pipe.close()
  }

  @Test func atTheEndEverythingIsWrittenWhereItIsRead() async throws {
    let pipe = Pipe()
    let queue = LogQueue(descriptor: pipe.writing, limit: 1 << 16)
    queue.startThread()
    for number in 0..<100 { queue.append("line \(number)\n") }
    queue.flush(within: .seconds(5))
    #expect(try await pipe.read(until: "line 99\n").split(separator: "\n").count == 100)
    let begun = ContinuousClock.now
    for _ in 0..<1000 { queue.append("nobody reads this line\n") }
    queue.flush(within: .milliseconds(300))
    #expect(begun.duration(to: .now) < .seconds(2))
    pipe.close()
  }

  @Test(arguments: [(true, "<4>a b k=\"v w\"\n"), (false, "warning: a b k=\"v w\"\n")])
  func linesKeepTheirForm(journal: Bool, expected: String) async throws {
    let pipe = Pipe()
    let queue = LogQueue(descriptor: pipe.writing, limit: 1 << 16)
    let logger = Logger(label: "test") { _ in LogLine(level: .info, journal: journal, queue: queue) }
    logger.warning("a\nb", metadata: ["k": "v w"])
    #expect(try await pipe.read(until: "\n") == expected)
    pipe.close()
  }
}
