// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import Foundation
import LoadBalancing
import Synchronization
import TestSupport
import Testing

@testable import Dataplane

/// Random desired states, one after the other. Between any two stores, hot slots and buckets never contradict what they
/// are derived from, and packets of a service that stays go to backends of pools that it has or had. `LAB_CHANGES` says
/// how many states, 60 unless it does; `LAB_CHANGE_SEED` repeats a run.
@Suite("Histories of changes", .serialized)
struct ChangeHistoryTests {
  private static func number(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init)
  }

  private static let keys: [VirtualService.Key] = AddressFamily.allCases.flatMap { family in
    [UInt16(80), 81, 82, 443].flatMap { port in
      [TransportProtocol.tcp, .udp].map { .init(address: family.vip, transport: $0, port: port) }
    }
  }

  private static func state(_ random: inout SplitMix64) -> DesiredState {
    let pools = (1...UInt8(4)).map { number in
      ChangeWorld.pool(
        number, 1...UInt8.random(in: 1...20, using: &random), settle: Bool.random(using: &random) ? 7200 : 60)
    }
    let services = keys.filter { _ in Int.random(in: 0..<4, using: &random) > 0 }.map {
      ChangeWorld.service(
        $0, UInt8.random(in: 1...4, using: &random), learn: [30, 60].randomElement(using: &random)!)
    }
    return DesiredState(services: services, pools: pools)
  }

  @Test("derived maps agree with the truth after every store")
  func histories() throws {
    let seed = Self.number("LAB_CHANGE_SEED") ?? Int.random(in: 0..<1_000_000_000)
    print("changes: seed \(seed)")
    var random = SplitMix64(seed: UInt64(seed))
    let world = try ChangeWorld("changes")
    let agreement = MapAgreement(world.forwarder, keys: Self.keys)
    var desired = DesiredState()
    // Flow entries may name backends of any pool that the service ever had.
    var had: [VirtualService.Key: Set<UInt8>] = [:]
    let checks = Mutex(0)
    for round in 0..<(Self.number("LAB_CHANGES") ?? 60) {
      let next = Self.state(&random)
      for service in next.services {
        if let pool = UInt8(service.pool.dropFirst()) { had[service.key, default: []].insert(pool) }
      }
      let stays = Set(desired.services.map(\.key)).intersection(next.services.map(\.key))
      let pools = had.filter { stays.contains($0.key) }
      let flaws = Mutex<[String]>([])
      let leaving = Set(world.installed.backends.values.filter(\.isLeaving).map(\.number))
      try world.follow(next, expired: Bool.random(using: &random) ? leaving : []) { [unowned world] point in
        do {
          checks.withLock { $0 += 1 }
          if let text = try agreement.contradiction() { flaws.withLock { $0.append("\(point): \(text)") } }
          for (key, pools) in pools {
            guard let pool = try world.send(to: key, from: 4000)?.0, pools.contains(pool) else {
              flaws.withLock { $0.append("\(point): a packet to \(key)") }
              continue
            }
          }
        } catch {
          flaws.withLock { $0.append("\(error)") }
        }
      }
      try #require(flaws.withLock { $0 } == [], "seed \(seed), round \(round)")
      try #require(try agreement.gap() == nil, "seed \(seed), round \(round)")
      try #require(
        try world.forwarder.readInstalled() == world.installed, "seed \(seed), round \(round)")
      desired = next
    }
    print("changes: \(checks.withLock { $0 }) moments between stores, 0 contradictions")
  }

  @Test func `a backend beyond the counters of a service that moved away is read as it is`() throws {
    let world = try ChangeWorld("moved-away")
    let other = ChangeWorld.pool(2)
    for (pool, ofService) in [
      (ChangeWorld.pool(1), 1), (ChangeWorld.pool(1), 2), (ChangeWorld.pool(1, 1...17), 2),
    ] {
      let service = ChangeWorld.service(Self.keys[0], UInt8(ofService))
      try world.follow(DesiredState(services: [service], pools: [pool, other]))
      #expect(try world.forwarder.readInstalled() == world.installed)
    }
  }
}
