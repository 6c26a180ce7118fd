// SPDX-License-Identifier: Apache-2.0
import BPF
import CForwardingABI
import Foundation
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// Whatever another process wrote into the maps, a daemon reads them, puts right what it cannot believe, and says so;
/// the service that was not damaged is served in every moment.
///
/// `LAB_DAMAGES` says how often the maps are damaged, 400 times unless it does; `LAB_DAMAGE_SEED` repeats a run.
@Suite("Damaged maps", .serialized)
struct DamageTests {
  private static func number(_ name: String) -> Int? {
    ProcessInfo.processInfo.environment[name].flatMap(Int.init)
  }

  private static let pins = "/sys/fs/bpf/sluice-test-\(getpid())-damage"

  private static func world() throws -> DamagedWorld {
    let settings = NodeSettings(
      interface: .init(name: "none"), limits: DamagedWorld.limits, hashSeed: "damage", pinDirectory: pins)
    let world = try DamagedWorld(try Forwarder(settings, isFullSpeed: true))
    try world.recover()
    #expect(try world.fault() == nil)
    return world
  }

  @Test("random words, swaps and names in every map")
  func random() throws {
    defer { rmdir(Self.pins) }
    let rounds = Self.number("LAB_DAMAGES") ?? 400
    let seed = Self.number("LAB_DAMAGE_SEED") ?? Int.random(in: 0..<1_000_000_000)
    print("damages: seed \(seed)")
    let world = try Self.world()
    let solid = try world.solid()
    #expect(!solid.contains(nil))
    var random = SplitMix64(seed: UInt64(seed))
    var findings = 0
    for round in 0..<rounds {
      var damage = Damage(world.forwarder.maps, sparing: "solid", of: world.installed, random: random)
      let strikes = try (0..<Int.random(in: 1...4, using: &damage.random)).map { _ in try damage.strike() }
      random = damage.random
      func watch() throws {
        let now = try world.solid()
        try #require(now == solid, "seed \(seed), round \(round): \(strikes)")
      }
      try watch()
      _ = try world.forwarder.census(of: world.installed)
      do {
        findings += try world.recover(watch: watch).count
      } catch let error as DataplaneError {
        Issue.record("seed \(seed), round \(round): \(strikes): \(error)")
        return
      }
      if let fault = try world.fault() {
        Issue.record("seed \(seed), round \(round): \(strikes): \(fault)")
        return
      }
    }
    print("damages: \(rounds) rounds, \(findings) findings, 0 traps, 0 packets of an undamaged service moved")
  }

  // MARK: One kind each

  /// What is struck, and what is said of it.
  private static let kinds: [(name: String, says: String, strike: @Sendable (DamagedWorld) throws -> Void)] =
    [
      (
        "a service's number", "the number of service 10.100.0.1:80/tcp",
        {
          try $0.forwarder.maps.setService(.v4(10, 100, 0, 1), port: 80, protocolNumber: 6, to: 4_000_000_000)
        }
      ),
      (
        "a huge run of counters", "the counters of service www",
        {
          let id = try #require(try $0.forwarder.maps.service(at: wwwKey))
          $0.forwarder.maps.services[Int(id)].pair_count = 0xffff_ffff
        }
      ),
      (
        "a backend's name", "the name of backend",
        {
          try $0.forwarder.maps.backendNames.update(try b5($0), to: identity("%%%"))
        }
      ),
      (
        "a backend's record", "the record of backend web/b5",
        {
          $0.forwarder.maps.backends[Int(try b5($0))] = backend()
        }
      ),
      (
        "a pool's record", "the record of pool web",
        {
          let number = try #require($0.installed.pools["web"]).number
          $0.forwarder.maps.pools.storeWord(.max, element: number)
        }
      ),
      (
        "slots of unknown backends", "251 slots of pool web",
        {
          for index in try #require($0.installed.pools["web"]).region {
            $0.forwarder.maps.slotWords.storeWord(47, element: index)
          }
        }
      ),
      (
        "a pool's name", "the name of pool",
        {
          try $0.forwarder.maps.poolNames.update(
            UInt32(try #require($0.installed.pools["web"]).number), to: identity("\u{1}"))
        }
      ),
      (
        "a pool's name, which another pool has", "which is late by its backends",
        { try name(pool: "late", like: "solid", in: $0) }
      ),
      (
        "a pool's name, which another pool had that has none", "which is other by its backends",
        {
          try name(pool: "other", like: "web", in: $0)
          try $0.forwarder.maps.poolNames.update(try number(ofPool: "web", in: $0), to: identity(""))
        }
      ),
      (
        "the pool in a backend's name, and its place among the counters", "the counters of backend",
        {
          let (number, other) = (
            try b5($0), try #require($0.installed.backend(named: "b4", in: "web")).number
          )
          try $0.forwarder.maps.backendNames.update(number, to: identity("foo/b5"))
          $0.forwarder.maps.backends[Int(number)].pair = $0.forwarder.maps.backends[Int(other)].pair
        }
      ),
    ]

  private static func number(ofPool name: String, in world: DamagedWorld) throws -> UInt32 {
    UInt32(try #require(world.installed.pools[name]).number)
  }

  private static func name(pool: String, like other: String, in world: DamagedWorld) throws {
    try world.forwarder.maps.poolNames.update(try number(ofPool: pool, in: world), to: identity(other))
  }

  private static let wwwKey = VirtualService.Key(address: .v4(10, 100, 0, 1), transport: .tcp, port: 80)

  private static func b5(_ world: DamagedWorld) throws -> BackendNumber {
    try #require(world.installed.backend(named: "b5", in: "web")).number
  }

  @Test(
    "each kind of damage is named and put right, and numbers stay where they can", arguments: kinds.indices)
  func named(_ index: Int) throws {
    defer { rmdir(Self.pins) }
    let kind = Self.kinds[index]
    let world = try Self.world()
    let before = world.installed
    try kind.strike(world)
    let findings = try world.recover()
    #expect(findings.contains { $0.contains(kind.says) }, "\(kind.name): \(findings)")
    #expect(try world.fault() == nil)
    #expect(Set(world.installed.backends.keys) == Set(before.backends.keys), "\(kind.name)")
  }

  @Test(
    "what is damaged under a running daemon is found by its comparison, each in one round",
    arguments: kinds.indices)
  func patrolled(_ index: Int) throws {
    defer { rmdir(Self.pins) }
    let kind = Self.kinds[index]
    let world = try Self.world()
    var patrol = MapPatrol()
    #expect(try world.forwarder.repairNext(&patrol, world.installed, nextHops: DamagedWorld.nextHops) == [])
    try kind.strike(world)
    let done = try world.forwarder.repairNext(&patrol, world.installed, nextHops: DamagedWorld.nextHops)
    #expect(!done.isEmpty, "\(kind.name)")
    #expect(try world.fault() == nil, "\(kind.name)")
  }

  @Test("of pools of one name, each keeps its table, backends and counters")
  func sameNames() throws {
    defer { rmdir(Self.pins) }
    let world = try Self.world()
    let before = world.installed
    for pool in before.pools.keys.sorted() {
      for other in before.pools.keys.sorted() where other != pool {
        try Self.name(pool: pool, like: other, in: world)
        let findings = try world.recover()
        #expect(findings.count == 1, "\(pool) is called \(other): \(findings)")
        #expect(world.installed == before, "\(pool) is called \(other)")
        #expect(try world.fault() == nil)
      }
    }
  }

  @Test("a backend that is called as of another pool is not believed in a pool that has the same backend")
  func twice() throws {
    defer { rmdir(Self.pins) }
    let world = try Self.world()
    let number = try Self.b5(world)
    let free = try #require((1..<48).map(BackendNumber.init).first { world.installed.backends[$0] == nil })
    let pool = try #require(world.installed.pools["web"])
    let maps = world.forwarder.maps
    maps.backends[Int(free)] = maps.backends[Int(number)]
    try maps.backendNames.update(free, to: identity("foo/b5"))
    let slot = try #require(pool.slots.firstIndex { $0.current == number })
    maps.slotWords.storeWord(Slot(current: free).word, element: pool.firstSlot + slot)
    let findings = try world.recover()
    #expect(findings.contains("1 slots of pool web"), "\(findings)")
    #expect(try world.fault() == nil)
    #expect(world.installed.backends.values.filter { $0.pool == "web" }.count == 3)
  }

  @Test("a damaged generation is put back, so that flow entries stay true")
  func generation() throws {
    defer { rmdir(Self.pins) }
    let world = try Self.world()
    let number = Int(try Self.b5(world))
    let before = world.forwarder.maps.backends[number].generation
    world.forwarder.maps.backends[number].generation ^= 0xff
    #expect(
      try world.forwarder.repair(world.installed, nextHops: DamagedWorld.nextHops) == [
        "the record of backend web/b5"
      ])
    #expect(world.forwarder.maps.backends[number].generation == before)
  }
}
