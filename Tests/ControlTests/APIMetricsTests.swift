// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Control

/// How requests are counted, on real Unix sockets.
@Suite struct APIMetricsTests {
  @Test func `every request is counted by its route, its method and the class of its answer`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for (socket, method, path) in [
        (fixture.control, "GET", "/v1/pools/web/backends"), (fixture.status, "GET", "/v1/pools/web/backends"),
        (fixture.control, "GET", "/v1/pools/wbe/backends"), (fixture.control, "HEAD", "/v1/status"),
        (fixture.control, "PUT", "/v1/pools/web/backends/b1"), (fixture.status, "POST", "/v1/detach"),
        (fixture.control, "GET", "/v1/status?dryrun=1"), (fixture.control, "GET", "/v1/events"),
      ] {
        _ = try await ask(socket, method, path)
      }
      #expect(
        described(fixture) == [
          "/v1/events GET 2xx 1", "/v1/pools/{pool}/backends GET 2xx 2",
          "/v1/pools/{pool}/backends GET 4xx 1", "/v1/pools/{pool}/backends/{backend} PUT 4xx 1",
          "/v1/status GET 4xx 1", "/v1/status HEAD 2xx 1", "other POST 4xx 1",
        ])
    }
  }

  @Test func `an answer that fails is counted`() async throws {
    struct Broken: Error {}
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      await fixture.plane.fail(with: Broken())
      _ = try await ask(fixture.control, "GET", "/v1/status")
      #expect(described(fixture) == ["/v1/status GET 5xx 1"])
    }
  }

  @Test func `nothing that a client makes up becomes a series`() async throws {
    try await ServerFixture.run { (fixture: ServerFixture) async throws -> Void in
      for number in 0..<50 {
        _ = try await ask(fixture.control, "GET", "/v\(number)/x\"\(number)")
        _ = try await ask(fixture.control, "GET", "/v1/services/s\(number)")
        _ = try await ask(fixture.control, "GET", "/v1/status?p\(number)=1")
        _ = try await ask(
          fixture.control, ["PROPFIND", "OPTIONS", "MKCOL", "TRACE", "LOCK"][number % 5], "/v1/status")
      }
      let counts = fixture.plane.requests.counts
      #expect(
        described(fixture) == [
          "/v1/services/{service} GET 4xx 50", "/v1/status GET 4xx 50", "/v1/status other 4xx 50",
          "other GET 4xx 50",
        ])
      #expect(counts.durations.values.allSatisfy { $0.counts.reduce(0, +) == 50 })
      #expect(counts.durations.count == 4)
    }
  }

  private func described(_ fixture: ServerFixture) -> [String] {
    fixture.plane.requests.counts.requests.sorted { $0.key < $1.key }.map { series, count in
      "\(series.kind.route) \(series.kind.method) \(series.status) \(count)"
    }
  }
}

@Suite struct ProcessUsageTests {
  @Test func `it is this process, now`() throws {
    let before = try #require(ProcessUsage.now())
    #expect((1...Date().timeIntervalSince1970).contains(before.startedAt))
    #expect(Date().timeIntervalSince1970 - before.startedAt < 86_400)
    #expect(before.residentBytes > 1 << 20)
    #expect(before.openDescriptors >= 3)
    #expect(before.maxDescriptors >= UInt64(before.openDescriptors))
    // Many, so that what other tests open and close meanwhile does not hide it.
    let descriptors = (0..<200).map { _ in open("/dev/null", O_RDONLY) }
    defer { for descriptor in descriptors { close(descriptor) } }
    let deadline = ContinuousClock.now + .seconds(60)
    var after = before
    while after.cpuSeconds <= before.cpuSeconds, ContinuousClock.now < deadline {
      after = try #require(ProcessUsage.now())
    }
    #expect(after.cpuSeconds > before.cpuSeconds)
    #expect(after.openDescriptors > before.openDescriptors + 100)
    #expect(after.startedAt == before.startedAt)
  }
}
