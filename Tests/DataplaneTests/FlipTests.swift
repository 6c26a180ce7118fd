// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Dataplane
import Foundation
import Glibc
import LoadBalancing
import Synchronization
import TestSupport
import Testing

/// Every packet sees the whole old or the whole new table: after a packet by the new one, none goes by the old.
///
/// Each table of a pool names one backend in all its slots, and each next table the next backend, so that a packet tells
/// by which table it went. As many threads of packets as there are CPUs watch for one that went by an earlier table than
/// the one before; the first one ends the test.
/// A region that one pool leaves is another's in the next round: who reads it then meets backends of the wrong pool.
/// `LAB_FLIPS` says how many tables are published, 2,000 unless it does; the watchers look at the pool whose turn it is.
/// With `SLUICE_TEST_NO_GRACE` regions are used again at once, as must not be (scripts/planted-defects).
@Suite("Flips", .serialized)
struct FlipTests {
  /// Few, so that a region is soon used again; there is a grace period after each round.
  private static let pools = 4
  /// Many, so that a thread which was not run for a while does not take a backend for that of a later round.
  private static let backends = 64
  private static let slots = 1021

  @Test("no packet by the old table after one by the new", .timeLimit(.minutes(10)))
  func flips() throws {
    let waits = ProcessInfo.processInfo.environment["SLUICE_TEST_NO_GRACE"] == nil
    let wanted = ProcessInfo.processInfo.environment["LAB_FLIPS"].flatMap(Int.init) ?? 2000
    let world = try FlipWorld(pools: Self.pools, backends: Self.backends, slots: Self.slots)
    /// What is being published: round times pools, plus the pool; -1: it is over.
    let turn = Atomic(0)
    /// Packets by an earlier table, or another pool's.
    let mixed = Atomic(0)
    let watchers = (0..<Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))).map { number in
      Watcher(number: number, forwarder: world.forwarder, pools: Self.pools, backends: Self.backends)
    }
    let group = DispatchGroup()
    for watcher in watchers {
      // Threads of their own: other tests keep those of the queues.
      group.enter()
      Thread {
        watcher.watch(turn, mixed)
        group.leave()
      }.start()
    }
    defer {
      turn.store(-1, ordering: .relaxed)
      group.wait()
    }
    let rounds = (wanted + Self.pools - 1) / Self.pools
    var published = 0
    for round in 1...rounds where mixed.load(ordering: .relaxed) == 0 {
      for pool in 0..<Self.pools {
        turn.store(round * Self.pools + pool, ordering: .relaxed)
        try world.publish(pool, round: round)
        published += 1
      }
      if waits { try world.waitForReaders() }
    }
    turn.store(-1, ordering: .relaxed)
    group.wait()

    let packets = watchers.reduce(0) { $0 + $1.packets }
    let seen = watchers.reduce(0) { $0 + $1.flipsSeen }
    let flaws = mixed.load(ordering: .relaxed)
    print(
      "flips: \(published) tables of \(Self.slots) slots published, \(packets) packets on "
        + "\(watchers.count) threads, which saw \(seen) changes; \(flaws) by an earlier table, or another pool's"
    )
    #expect(flaws == 0)
    #expect(watchers.allSatisfy { $0.failure == nil })
    #expect(seen > rounds / 4, "the watchers saw next to nothing")
  }
}

/// Pools whose tables are published by turns.
private final class FlipWorld {
  let forwarder: Forwarder
  private var installed: InstalledState
  private let template: Plan
  private let numbers: [[BackendNumber]]
  private let pins = "/sys/fs/bpf/sluice-test-\(getpid())-flips"

  init(pools: Int, backends: Int, slots: Int) throws {
    let limits = NodeSettings.Limits(
      services: 64, pools: pools, backends: pools * backends + 1, slots: pools * slots * 2, flows: 64,
      pairs: 1024)
    forwarder = try Forwarder(
      NodeSettings(interface: .init(name: "none"), limits: limits, hashSeed: "flips", pinDirectory: pins),
      isFullSpeed: true, code: ForwarderFixture.code())
    forwarder.setInterfaceAddress(.balancer)
    var desired = DesiredState()
    for pool in 0..<pools {
      let members = (0..<backends).map {
        Backend(name: "b\($0)", address: .v4(10, 0, UInt8(pool), UInt8($0 + 1)), weight: $0 == 0 ? 1 : 0)
      }
      desired.pools.append(Pool(name: "p\(pool)", backends: members, tableSize: slots))
      desired.services.append(
        VirtualService(
          key: VirtualService.Key(address: AddressFamily.v4.vip, transport: .tcp, port: UInt16(pool + 1)),
          // The fast path serves those that track flows on changes; slots that are stable are not tracked.
          name: "s\(pool)", pool: "p\(pool)", affinity: Affinity(mode: pool % 2 == 0 ? .changes : .none)))
    }
    let plan = try Planner.plan(from: InstalledState(), to: desired, limits: limits, now: try forwarder.now())
    var ways: [IPAddress: NextHopState] = [:]
    for backend in plan.result.backends.values {
      let octets = backend.address.octets
      ways[backend.address] = NextHopState(
        mac: HardwareAddress(octets: [2, 0, 0, 0, octets[2], octets[3] - 1]), mtu: 1600,
        sourceAddress: .v4(10, 9, 9, 9))
    }
    try forwarder.apply(plan, nextHops: ways)
    installed = plan.result
    template = try Planner.plan(from: installed, to: desired, limits: limits, now: try forwarder.now())
    let result = plan.result
    numbers = (0..<pools).map { pool in
      (0..<backends).map { result.backend(named: "b\($0)", in: "p\(pool)")!.number }
    }
  }

  deinit { rmdir(pins) }

  /// Gives every slot of a pool to its next backend.
  func publish(_ number: Int, round: Int) throws {
    guard var pool = installed.pools["p\(number)"] else { return }
    let owners = numbers[number]
    let total = numbers.count * pool.slots.count
    pool.slots = Array(repeating: Slot(current: owners[round % owners.count]), count: pool.slots.count)
    pool.firstSlot = round % 2 * total + (number + round) % numbers.count * pool.slots.count
    installed.pools[pool.name] = pool
    try apply(.publishTable(pool))
  }

  func waitForReaders() throws { try apply(.waitForReaders) }

  private func apply(_ step: Plan.Step) throws {
    var plan = template
    plan.steps = [step]
    plan.result = installed
    try forwarder.apply(plan, nextHops: [:])
  }
}

/// Packets of one thread, one after the other; there are as many as CPUs.
private final class Watcher: @unchecked Sendable {
  private(set) var packets = 0
  private(set) var flipsSeen = 0
  private(set) var failure: (any Error)?
  private let number: Int
  private let forwarder: Forwarder
  private let backends: Int
  private var last: [Int]

  init(number: Int, forwarder: Forwarder, pools: Int, backends: Int) {
    self.number = number
    self.forwarder = forwarder
    self.backends = backends
    last = Array(repeating: 0, count: pools)
  }

  func watch(_ turn: borrowing Atomic<Int>, _ mixed: borrowing Atomic<Int>) {
    var random = SplitMix64(seed: UInt64(number))
    let frames = (0..<last.count).map { pool in
      (0..<64).map { _ in
        Packet.ethernet().ip(from: AddressFamily.v4.client, to: AddressFamily.v4.vip)
          .tcp(from: UInt16.random(in: 1024...65535, using: &random), to: UInt16(pool + 1)).bytes
      }
    }
    do {
      while true {
        let now = turn.load(ordering: .relaxed)
        guard now >= 0 else { return }
        let pool = now % frames.count
        let table = try send(frames[pool].randomElement(using: &random)!, to: pool)
        let after = turn.load(ordering: .relaxed)
        guard after >= 0 else { return }
        if !see(table, of: pool, in: after / frames.count) { mixed.add(1, ordering: .relaxed) }
      }
    } catch {
      failure = error
    }
  }

  /// The backend that a packet goes to; nil: none of its pool.
  private func send(_ frame: [UInt8], to pool: Int) throws -> Int? {
    let result = try forwarder.program.testRun(input: frame)
    packets += 1
    let isOfPool = result.returnValue == Action.transmit && Int(result.output[4]) == pool
    return isOfPool ? Int(result.output[5]) : nil
  }

  /// - Parameter round: not earlier than the packet's.
  /// - Returns: false if the packet went by an earlier table than one before, or by another pool's.
  private func see(_ backend: Int?, of pool: Int, in round: Int) -> Bool {
    guard let backend else { return false }
    // The table's round: the last one, up to the present, whose backend this is.
    let table = round - (round - backend + backends) % backends
    guard table >= last[pool] else { return false }
    if table > last[pool] { flipsSeen += 1 }
    last[pool] = table
    return true
  }
}
