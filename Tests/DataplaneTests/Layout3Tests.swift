// SPDX-License-Identifier: Apache-2.0
import CForwardingABI
import LoadBalancing
import TestSupport
import Testing

@testable import Dataplane

/// Records of layout 3 mean the same in the present layout.
@Suite("Layout 3")
struct Layout3Tests {
  /// As the forwarder of layout 3 had it: flags in the high half of `state`, 1: usable, 2: leaving, 4: draining.
  private static func backend(_ address: IPAddress, source: IPAddress, flags: UInt64) -> Layout3.Backend {
    func words(_ address: IPAddress) -> (UInt64, UInt64) {
      let octets = [UInt8](repeating: 0, count: 16 - address.octets.count) + address.octets
      func word(_ octets: some Sequence<UInt8>) -> UInt64 {
        octets.reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
      return (word(octets.prefix(8)), word(octets.suffix(8)))
    }
    return Layout3.Backend(
      nextHop: 0x0605_0403_0202 | 1 << 48, state: flags << 32 | 77, destination: words(address),
      source: words(source), sourceMask: UInt32(0xffff).bigEndian, headerSum: 0,
      family: address.family.rawValue,
      encapsulation: 0, mtu: 1480, pair: 9, sourceLength: 16, zero: 0, pool: 3)
  }

  @Test("a backend of IPv4 keeps address, source, generation and flags")
  func ipv4() {
    let old = Self.backend(.v4(10, 1, 2, 3), source: .v4(172, 16, 0, 0), flags: 5)
    let record = old.record { _ in 0 }
    #expect(record.address == .v4(10, 1, 2, 3) && record.generation == 77)
    #expect(record.isUsable && record.isDraining && !record.isLeaving)
    #expect(record.pair == 9 && record.pool == 3 && record.source_length == 16)
    #expect(IPAddress(word4: path_source(record.path)) == .v4(172, 16, 0, 0))
    #expect(path_mtu(record.path) == 1480)
    #expect(record.path == path4(path_source(record.path), record.address.word4, 1480), "the sum")
    #expect(record.next_hop & UInt64(NEXT_HOP_RESOLVED) != 0)
    #expect(record.next_hop & UInt64(NEXT_HOP_MAC) == 0x0605_0403_0202)
    #expect(record.encapsulation == Encapsulation())
  }

  @Test("a backend of IPv6 names the element of its source, and is unresolved without one")
  func ipv6() throws {
    let (address, source) = (try #require(IPAddress("fd00::7")), try #require(IPAddress("2001:db8::9")))
    var asked: [IPAddress] = []
    let record = Self.backend(address, source: source, flags: 2).record { source in
      asked.append(source)
      return 5
    }
    #expect(asked == [source] && path_source(record.path) == 5)
    #expect(record.address == address && record.family == .v6)
    #expect(!record.isUsable && record.isLeaving)
    let none = Self.backend(address, source: IPAddress(family: .v6, bits: 0), flags: 1).record { _ in 5 }
    #expect(none.next_hop & UInt64(NEXT_HOP_RESOLVED) == 0 && none.isUsable)
  }

  @Test("pools and services")
  func others() {
    let pool = Layout3.Pool(table: 251 << 32 | 7, hash: 1, settle: 60).record
    #expect(table_first(pool.table) == 7 && table_size(pool.table) == 251)
    #expect(HashFields(ofTable: pool.table) == .source && pool.settle == 60)
    let service = Layout3.Service(
      binding: 32 << 32 | 2, before: 16 << 32 | 1, affinity: affinity.AFFINITY_MOVED.rawValue, flags: 1,
      learn: 30,
      udpIdle: 40, tcpIdle: 50, moved: 60, pairCount: 16, pairCountBefore: 8, zero: (0, 0)
    ).record(table: pool.table)
    #expect(service.table == pool.table && service.binding == 32 << 32 | 2 && service.before == 16 << 32 | 1)
    #expect(service.affinity == .AFFINITY_MOVED && service.flags == 1 && service.moved == 60)
    #expect(service.learn == 30 && service.udp_idle == 40 && service.tcp_idle == 50)
    #expect(service.pair_count == 16 && service.pair_count_before == 8)
  }
}
