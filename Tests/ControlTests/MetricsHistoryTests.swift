// SPDX-License-Identifier: Apache-2.0
import Dataplane
import Foundation
import LoadBalancing
import TestSupport
import Testing

@testable import Control

/// What metrics tell of the past.
@Suite struct MetricsHistoryTests {
  private typealias Pair = ForwardedTotals.Pair

  private static func key(_ number: Int) -> VirtualService.Key {
    VirtualService.Key(address: IPAddress("192.0.2.1")!, transport: .tcp, port: UInt16(number))
  }

  private static func installed(_ services: Set<Int>, _ backends: Set<BackendNumber>) -> InstalledState {
    InstalledState(
      backends: Dictionary(
        uniqueKeysWithValues: backends.map {
          (
            $0,
            InstalledState.Backend(
              number: $0, pool: "web", name: "b\($0)", address: IPAddress("10.0.0.1")!,
              encapsulation: Encapsulation(), isUsable: true, pair: Int($0))
          )
        }),
      services: Dictionary(
        uniqueKeysWithValues: services.map {
          let service = VirtualService(key: key($0), name: "s\($0)", pool: "web")
          return (key($0), InstalledState.Service(number: $0, service: service, firstPair: 0, pairCount: 16))
        }))
  }

  private static func pairs(_ packets: [(service: Int, backend: BackendNumber, packets: UInt64)]) -> [Pair:
    Counter]
  {
    Dictionary(
      uniqueKeysWithValues: packets.map {
        (
          Pair(service: key($0.service), backend: $0.backend),
          Counter(packets: $0.packets, bytes: $0.packets * 60)
        )
      })
  }

  @Test func `what a pair counted stays counted when it ends`() {
    var totals = ForwardedTotals()
    totals.note(Self.pairs([(1, 1, 100), (1, 2, 50)]))
    #expect(totals.services[Self.key(1)] == nil, "what was before the first look is not counted")
    totals.note(Self.pairs([(1, 1, 110), (1, 2, 55), (2, 2, 7)]))
    #expect(totals.services[Self.key(1)] == Counter(packets: 15, bytes: 900))
    #expect(totals.backends[2] == Counter(packets: 12, bytes: 720))
    // The backend goes, and the service keeps its packets; the service goes, and the backend keeps them.
    totals.keep(Self.installed([1, 2], [2]))
    totals.note(Self.pairs([(1, 2, 56), (2, 2, 7)]))
    #expect(totals.services[Self.key(1)]?.packets == 16)
    #expect(totals.backends[1] == nil)
    totals.keep(Self.installed([1], [2]))
    totals.note(Self.pairs([(1, 2, 56)]))
    #expect(totals.backends[2]?.packets == 13)
    #expect(totals.services[Self.key(2)] == nil)
  }

  @Test func `a pair that fell is counted on from where it is`() {
    var totals = ForwardedTotals()
    totals.note(Self.pairs([(1, 1, 0)]))
    totals.note(Self.pairs([(1, 1, 1000)]))
    totals.note(Self.pairs([(1, 1, 900)]))
    totals.note(Self.pairs([(1, 1, 905)]))
    #expect(totals.services[Self.key(1)]?.packets == 1005)
  }

  @Test func `a number that is another backend's begins at nothing`() {
    var totals = ForwardedTotals()
    totals.note([:])
    totals.note(Self.pairs([(1, 1, 1000)]))
    totals.keep(Self.installed([1], []))
    totals.keep(Self.installed([1], [1]))
    totals.note(Self.pairs([(1, 1, 3)]))
    #expect(totals.backends[1]?.packets == 3)
    #expect(totals.services[Self.key(1)]?.packets == 1003)
  }

  @Test func `totals include what was counted before the first look, and what ended since`() {
    var totals = ForwardedTotals()
    let key = Self.key(1)
    totals.note(Self.pairs([(1, 1, 100)]), of: [key: Counter(packets: 130, bytes: 0)])
    #expect(totals.total(of: key).packets == 130 && totals.total(of: 1).packets == 100)
    totals.note(Self.pairs([(1, 1, 110), (1, 2, 5)]))
    #expect(totals.total(of: key).packets == 145 && totals.total(of: 1).packets == 110)
    // The service has moved, and its older flows have ended.
    totals.keep(Self.installed([1], [2]))
    totals.note(Self.pairs([(1, 2, 6)]))
    #expect(totals.total(of: key).packets == 146 && totals.total(of: 1).packets == 0)
  }

  /// Services and backends come and go at random, and every look finds what was sent to those that stayed.
  @Test func `no total goes down while what it counts is installed, and none is more than was sent`() {
    let seed = UInt64.random(in: 0..<1_000_000)
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var totals = ForwardedTotals()
    totals.note([:])
    var (services, backends): (Set<Int>, Set<BackendNumber>) = ([1], [1])
    var counted: [Pair: UInt64] = [:]
    var sent: [VirtualService.Key: UInt64] = [:]
    var steps = 0
    for _ in 0..<2000 {
      let before = totals
      let (oldServices, oldBackends) = (services, backends)
      if Int.random(in: 0..<5, using: &random) == 0 {
        services.formSymmetricDifference([Int.random(in: 1...4, using: &random)])
        backends.formSymmetricDifference([BackendNumber.random(in: 1...6, using: &random)])
        counted = counted.filter {
          services.contains(Int($0.key.service.port)) && backends.contains($0.key.backend)
        }
        for gone in oldServices.subtracting(services) { sent[Self.key(gone)] = nil }
        totals.keep(Self.installed(services, backends))
      }
      for service in services {
        for backend in backends {
          let packets = UInt64.random(in: 0..<100, using: &random)
          counted[Pair(service: Self.key(service), backend: backend), default: 0] += packets
          sent[Self.key(service), default: 0] += packets
        }
      }
      totals.note(counted.mapValues { Counter(packets: $0, bytes: $0) })
      for service in services where !backends.isEmpty {
        #expect(totals.services[Self.key(service)]?.packets ?? 0 == sent[Self.key(service)] ?? 0)
      }
      for backend in backends.intersection(oldBackends) {
        #expect((totals.backends[backend]?.packets ?? 0) >= (before.backends[backend]?.packets ?? 0))
        steps += 1
      }
      #expect(Set(totals.backends.keys).isSubset(of: backends))
      #expect(Set(totals.services.keys).isSubset(of: services.map(Self.key)))
    }
    print("\(steps) totals compared")
  }

  @Test func `changes of state are counted, with the time of the last one`() {
    var history = StateHistory()
    let times = (0..<4).map { Date(timeIntervalSince1970: Double($0)) }
    for number in [1, 2] as [BackendNumber] { history.note("ready", of: number, at: times[0]) }
    for time in times[1...2] { history.note("drain", of: 1, at: time) }
    #expect(history[1]?.count == 1)
    #expect(history[1]?.latest == times[1])
    #expect(history[2]?.count == 0)
    #expect(history[2]?.latest == times[0])
    history.keep(Self.installed([], [2]).backends)
    history.note("drain", of: 1, at: times[3])
    #expect(history[1]?.count == 0, "a number that is another backend's")
    #expect(history[1]?.latest == times[3])
  }

  @Test func `a number that another backend gets begins anew, also where the count of backends stays`() {
    var history = StateHistory()
    let now = Date(timeIntervalSince1970: 0)
    for state in ["ready", "drain"] { history.note(state, of: 1, at: now) }
    history.keep(Self.installed([], [2]).backends)
    #expect(history[1] == nil)
  }

  @Test func `what is checked no more is told no more`() throws {
    var desired = MetricsSamples.desired
    var counts = CheckCounts()
    func follow() -> [HealthBoard.Job] {
      var board = HealthBoard()
      board.configure(desired, at: .zero) { _, _ in nil }
      counts.follow(board.jobs.values)
      return Array(board.jobs.values)
    }
    for job in follow() { counts.add(ProbeOutcome(duration: .zero), of: job) }
    #expect(counts.probes.count == 2 * MetricsSamples.names.count)
    let pool = desired.pools[0].name
    desired.pools[0].backends.removeLast()
    _ = follow()
    #expect(counts.probes.keys.filter { $0.backend.pool == pool }.map(\.backend.backend) == ["b1"])
    #expect(counts.changes.keys.count { $0.pool == pool } == 1)
    desired.pools[0].health.check?.kind = .icmp
    _ = follow()
    #expect(counts.probes.keys.count { $0.backend.pool == pool } == 0, "of another type")
    #expect(counts.durations.keys.count { $0.pool == pool } == 0)
    #expect(counts.changes.keys.count { $0.pool == pool } == 1, "its health is what it was")
    desired.pools.removeFirst()
    _ = follow()
    #expect(!counts.changes.keys.contains { $0.pool == pool })
    #expect(counts.probes.count == 2 * (MetricsSamples.names.count - 1), "what stays keeps its counts")
  }

  @Test func `a reload is counted by what came of it`() {
    struct Broken: Error {}
    var history = History()
    let at = Sample.start
    for outcome in [
      ReloadOutcome(at: at), ReloadOutcome(at: at, failure: "connections would break"),
      ReloadOutcome(
        at: at, failure: "limit", error: PlanError.limitExceeded(what: "pairs", limit: 1, needed: 2)),
      ReloadOutcome(at: at, failure: "ENOMEM", error: Broken()),
    ] {
      history.noteReload(outcome)
    }
    #expect(history.reloads == [.applied: 1, .refused: 2, .failed: 1])
  }

  /// Plans one after the other give the states that the last one alone would give, and count each change.
  @Test func `states follow plans, whatever they change`() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    print("seed \(seed)")
    var random = SplitMix64(seed: seed)
    var (history, installed, desired) = (History(), InstalledState(), DesiredState())
    var last: [BackendNumber: String] = [:]
    var fulfilled: DesiredState?
    for step in 0..<200 {
      let states: [AdministrativeState] = [.ready, .drain, .maint]
      desired.pools = (0..<3).map { pool in
        let backends = (0..<4).filter { _ in Int.random(in: 0..<4, using: &random) > 0 }.map {
          Backend(
            name: "b\($0)", address: Sample.address(pool * 16 + $0 + 1),
            state: states[Int.random(in: 0..<9, using: &random) % 7 % 3])
        }
        return Pool(name: "p\(pool)", backends: backends, tableSize: 251)
      }
      let expired = Set(installed.backends.values.filter(\.isLeaving).map(\.number).prefix(step % 3))
      let plan = try Planner.plan(
        from: installed, to: desired, limits: NodeSettings.Limits(), now: Tick(0), expired: expired,
        fulfilled: fulfilled)
      (installed, fulfilled) = (plan.result, desired)
      history.notePlan(plan, desired, at: Sample.after(step))
      var expected: [BackendNumber: String] = [:]
      for backend in installed.backends.values {
        let wanted = desired.pool(named: backend.pool)?.backend(named: backend.name)
        expected[backend.number] = backend.isLeaving ? "leaving" : wanted?.state.rawValue ?? "leaving"
      }
      for (number, state) in expected {
        let changes = try #require(history.states[number])
        if let before = last[number], before != state {
          #expect(changes.latest == Sample.after(step).wall && changes.count > 0)
        }
        #expect(history.states.state(of: number) == state)
      }
      for gone in last.keys where expected[gone] == nil { #expect(history.states[gone] == nil) }
      last = expected
    }
  }
}
