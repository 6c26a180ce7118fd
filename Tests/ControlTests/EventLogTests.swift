// SPDX-License-Identifier: Apache-2.0
import ControlAPI
import Foundation
import Testing

@testable import Control

@Suite("Events are numbered without gaps, and followers get them in order or are told what they lost")
struct EventLogTests {
  let log = EventLog()

  private func append(_ count: Int, type: String = "backend", to log: EventLog? = nil) {
    for number in 0..<count { (log ?? self.log).append(type: type, object: "web/\(number)") }
  }

  private func numbers(_ events: [Event]?) -> [UInt64] { events?.compactMap(\.seq) ?? [] }

  @Test("an event has all that was said of it, the next number and a time in UTC")
  func event() {
    append(1)
    log.append(
      type: "backend", object: "web/web1", old: "state ready", new: "state drain", reason: "kernel",
      by: "root")
    let events = log.events(since: nil)
    #expect(numbers(events) == [1, 2])
    #expect(
      events.last
        == Event(
          seq: 2, time: events[1].time, type: "backend", object: "web/web1", old: "state ready",
          new: "state drain", reason: "kernel", by: "root"))
    #expect(events[1].time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
  }

  @Test("since gives what came after it")
  func since() {
    append(5)
    #expect(numbers(log.events(since: 0)) == [1, 2, 3, 4, 5])
    #expect(numbers(log.events(since: 3)) == [4, 5])
    #expect(log.events(since: 5).isEmpty)
  }

  @Test("a number that there was not yet is from an earlier run: everything is new")
  func sinceOfAnEarlierRun() {
    append(2)
    #expect(numbers(log.events(since: 3)) == [1, 2])
  }

  @Test("the ring keeps the latest, and says how many it no longer has")
  func ring() {
    append(EventLog.capacity + 10)
    let events = log.events(since: 3)
    #expect(events.first?.type == "gap")
    #expect(events.first?.lost == 7)
    #expect(events.first?.seq == nil)
    #expect(numbers(events) == Array(11...UInt64(EventLog.capacity) + 10))
    #expect(log.events(since: 10).first?.seq == 11)
    #expect(log.events(since: nil).first?.seq == 11, "who asks for all that there is lost nothing")
  }

  @Test("types are chosen, and counted")
  func types() async {
    append(3, type: "backend")
    append(2, type: "plan")
    append(1, type: "alarm")
    #expect(numbers(log.events(since: nil, types: ["plan", "alarm"])) == [4, 5, 6])
    #expect(log.counts == ["backend": 3, "plan": 2, "alarm": 1])
    let follower = log.follow(since: 0, types: ["alarm"])
    #expect(numbers(await follower?.next(until: .now + .seconds(20))) == [6])
  }

  @Test("a follower gets what comes, without asking again")
  func follow() async {
    append(2)
    let follower = log.follow(since: nil)
    let first = Task { await follower?.next(until: .now + .seconds(20)) }
    append(1)
    #expect(numbers(await first.value) == [3])
  }

  @Test("a follower of one type is not kept from it by a ring full of another")
  func typeBehindMuch() async {
    let follower = log.follow(since: nil, types: ["alarm"])
    append(EventLog.capacity - 1)
    append(1, type: "alarm")
    #expect(numbers(await follower?.next(until: .now + .seconds(20))) == [UInt64(EventLog.capacity)])
  }

  @Test("a silent log gives nothing by the deadline")
  func silence() async {
    let follower = log.follow(since: nil)
    #expect(await follower?.next(until: .now + .milliseconds(20)) == [])
  }

  @Test("one that is too slow is told what it lost, and goes on with newer ones; nobody waits for it")
  func slowFollower() async throws {
    let slow = try #require(log.follow(since: nil))
    append(EventLog.capacity + 100)
    let gap = try #require(await slow.next(until: .now + .seconds(20))?.first)
    #expect((gap.type, gap.lost) == ("gap", 100))
    #expect(numbers(await slow.next(until: .now + .seconds(20))).first == 101)
  }

  @Test("concurrent appends: every number once, in order, with times that never go back")
  func concurrency() async throws {
    let follower = try #require(log.follow(since: nil))
    let reader = Task {
      var events: [Event] = []
      while events.count < 3000, let more = await follower.next(until: .now + .seconds(20)), !more.isEmpty {
        events += more
      }
      return events
    }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<3 { group.addTask { append(1000) } }
    }
    let events = await reader.value
    #expect(numbers(events) == Array(1...3000))
    #expect(events.map(\.time) == events.map(\.time).sorted())
  }

  @Test("no more than 32 follow at a time; who leaves makes room")
  func limit() {
    var followers = (0..<EventLog.followerLimit).map { _ in log.follow(since: nil) }
    #expect(followers.allSatisfy { $0 != nil })
    #expect(log.follow(since: nil) == nil)
    #expect(log.followerCount == EventLog.followerLimit)
    followers.removeLast()
    #expect(log.follow(since: nil) != nil)
    followers.removeAll()
    #expect(log.followerCount == 0)
  }

  @Test("when the daemon stops, followers get what there is and end; so does one that waits, or is cancelled")
  func end() async throws {
    let late = try #require(log.follow(since: nil))
    let waiting = try #require(log.follow(since: nil))
    let cancelled = Task { [log] in
      let follower = try #require(log.follow(since: 1000, types: ["alarm"]))
      return await follower.next(until: .now + .seconds(60))
    }
    append(1)
    #expect(numbers(await waiting.next(until: .now + .seconds(20))) == [1])
    cancelled.cancel()
    #expect(try await cancelled.value == nil)
    let last = Task { await waiting.next(until: .now + .seconds(60)) }
    log.end()
    #expect(await last.value == nil)
    #expect(numbers(await late.next(until: .now + .seconds(20))) == [1])
    #expect(await late.next(until: .now + .seconds(20)) == nil)
  }
}
