// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import Synchronization
import TestSupport
import Testing

@testable import Dataplane

/// Services of one bucket: more than it has places, removed and added while packets arrive between any two stores.
@Suite("Service buckets", .serialized)
struct ServiceBucketTests {
  /// Keys of one bucket.
  private static func keys(_ family: AddressFamily, _ count: Int) -> [VirtualService.Key] {
    var byBucket: [UInt32: [VirtualService.Key]] = [:]
    for port in 1...UInt16.max {
      let key = VirtualService.Key(address: family.vip, transport: port % 2 == 0 ? .tcp : .udp, port: port)
      byBucket[key.bucket, default: []].append(key)
      if byBucket[key.bucket]!.count == count { return byBucket[key.bucket]! }
    }
    return []
  }

  /// Entries in use in the bucket of a key.
  private static func entries(_ world: ChangeWorld, _ key: VirtualService.Key) -> Int {
    let (maps, bucket) = (world.forwarder.maps, Int(key.bucket))
    guard key.address.family == .v6 else {
      return (0..<4).count { maps.buckets4.loadWord(element: bucket, byteOffset: $0 * 8) != 0 }
    }
    let rest = maps.buckets6[bucket].rest
    return [rest.0, rest.1].count { $0 != 0 }
  }

  @Test(
    "a bucket holds what fits, the hash map the rest; places that become free are used again",
    arguments: AddressFamily.allCases)
  func overflow(_ family: AddressFamily) throws {
    let world = try ChangeWorld("buckets\(family.rawValue)")
    let capacity = Int(family == .v4 ? SERVICE_BUCKET4_ENTRIES : SERVICE_BUCKET6_ENTRIES)
    let keys = Self.keys(family, capacity + 2)
    #expect(keys.count == capacity + 2)
    let pools = keys.indices.map { ChangeWorld.pool(UInt8($0 + 1)) }
    let services = keys.indices.map { ChangeWorld.service(keys[$0], UInt8($0 + 1)) }
    try world.follow(DesiredState(services: services, pools: pools))
    #expect(Self.entries(world, keys[0]) == capacity)

    let agreement = MapAgreement(world.forwarder, keys: keys)
    for removed in keys.indices {
      let flaws = Mutex<[String]>([])
      let watch: @Sendable (FaultPoint) -> Void = { [unowned world] point in
        do {
          for (index, key) in keys.enumerated() {
            let pool = try world.send(to: key, from: 4000)?.0
            let isRight = pool == UInt8(index + 1) || index == removed && pool == nil
            if !isRight { flaws.withLock { $0.append("\(point): \(key) goes to \(pool as Any)") } }
          }
          if let text = try agreement.contradiction() { flaws.withLock { $0.append("\(point): \(text)") } }
        } catch {
          flaws.withLock { $0.append("\(error)") }
        }
      }
      try world.follow(
        DesiredState(services: services.filter { $0.key != keys[removed] }, pools: pools), watch: watch)
      #expect(Self.entries(world, keys[0]) == capacity)
      #expect(try world.send(to: keys[removed], from: 4000) == nil)
      try world.follow(DesiredState(services: services, pools: pools), watch: watch)
      #expect(try world.send(to: keys[removed], from: 4000)?.0 == UInt8(removed + 1))
      #expect(flaws.withLock { $0 } == [])
      #expect(try agreement.gap() == nil)
    }
  }

  @Test("other terms: another id, the same counters, and no packet without service")
  func terms() throws {
    let world = try ChangeWorld("terms")
    let keys = AddressFamily.allCases.flatMap { Self.keys($0, 3) }
    let pools = keys.indices.map { ChangeWorld.pool(UInt8($0 + 1)) }
    for learn in [60, 30, 90] {
      let services = keys.indices.map { ChangeWorld.service(keys[$0], UInt8($0 + 1), learn: learn) }
      let before = try keys.map { try world.forwarder.maps.service(at: $0) }
      let flaws = Mutex<[String]>([])
      let isFirst = world.installed.services.isEmpty
      try world.follow(DesiredState(services: services, pools: pools)) { [unowned world] point in
        guard !isFirst else { return }
        for (index, key) in keys.enumerated()
        where (try? world.send(to: key, from: 4000)?.0) != UInt8(index + 1) {
          flaws.withLock { $0.append("\(point): \(key)") }
        }
      }
      #expect(flaws.withLock { $0 } == [])
      let after = try keys.map { try world.forwarder.maps.service(at: $0) }
      #expect(zip(before, after).allSatisfy { $0 != $1 })
      #expect(try MapAgreement(world.forwarder, keys: keys).contradiction() == nil)
    }
    let service = try #require(world.installed.services[keys[0]])
    let counted = try world.forwarder.reader.forwarded(service).reduce(0) { $0 + $1.packets }
    #expect(counted > 0, "counts of the former ids stay")
  }
}

extension VirtualService.Key {
  /// The index of the bucket of the key.
  var bucket: UInt32 {
    let (port, transport) = (UInt64(port.bigEndian), UInt64(transport.rawValue))
    switch address.family {
    case .v4: return service_bucket4_index(service_entry4(UInt64(address.word4), port, transport))
    case .v6:
      let (high, low) = address.words6
      return service_bucket6_index(high, low, service_entry6(port, transport))
    }
  }
}
