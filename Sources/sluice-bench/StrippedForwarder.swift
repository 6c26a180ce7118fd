// SPDX-License-Identifier: Apache-2.0
import BPF
import Dataplane
import LoadBalancing

/// The stripped forwarder of a family (`bpf/stripped.bpf.c`) with as many services, slots and backends as the forwarder:
/// the least that forwarding costs, and the figure that the forwarder's own is compared with.
struct StrippedForwarder {
  static let name = "stripped"

  private struct Service: BitwiseCopyable {
    var flags: UInt32 = 0
    var id: UInt32
    var firstSlot: UInt32
    var slots: UInt32
  }

  private struct Key4: BitwiseCopyable {
    var address: UInt32
    var portAndProtocol: UInt32
  }

  private struct Key6: BitwiseCopyable {
    var address: InlineArray<4, UInt32>
    var portAndProtocol: UInt32
  }

  /// `struct backend` of stripped.bpf.c, in words as they lie in memory.
  private typealias Record = InlineArray<16, UInt32>

  let program: BPFProgram

  init(isIPv6: Bool) throws {
    let (services, backends) = (Installation.services, Installation.backends)
    var object = try BPFObject.open(.stripped)
    try object.setMaxEntries(map: "slots", UInt32(services * Pool.defaultTableSize))
    try object.setMaxEntries(map: "backends", UInt32(services * backends + 1))
    try object.setMaxEntries(map: "backend_counters", UInt32(services * backends + 1))
    let loaded = try object.load()
    program = try loaded.program(isIPv6 ? "stripped6" : "stripped4")

    let records = try loaded.map("backends", key: UInt32.self, value: Record.self).memoryMapped()
    let slots = try loaded.map("slots", key: UInt32.self, value: UInt32.self).memoryMapped()
    for pool in 0..<services {
      for number in 1...backends {
        let address = Installation.address(ofBackend: number, pool: pool, isIPv6: isIPv6)
        records[pool * backends + number] = Self.record(address)
      }
      for slot in 0..<Pool.defaultTableSize {
        let random = (UInt64(slot + pool) &* 0x9e37_79b9_7f4a_7c15) >> 32
        slots[pool * Pool.defaultTableSize + slot] =
          UInt32(pool * backends + 1) + UInt32(random) % UInt32(backends)
      }
    }
    try isIPv6 ? Self.addServices6(loaded) : Self.addServices4(loaded)
  }

  private static func addServices4(_ object: borrowing LoadedObject) throws {
    let map = try object.map("services4", key: Key4.self, value: Service.self)
    for index in 0..<Installation.services {
      let address = words(Installation.vip(index, isIPv6: false).octets)[0]
      try map.update(Key4(address: address, portAndProtocol: portAndProtocol), to: service(index))
    }
  }

  private static func addServices6(_ object: borrowing LoadedObject) throws {
    let map = try object.map("services6", key: Key6.self, value: Service.self)
    for index in 0..<Installation.services {
      let address = words(Installation.vip(index, isIPv6: true).octets)
      try map.update(
        Key6(address: [address[0], address[1], address[2], address[3]], portAndProtocol: portAndProtocol),
        to: service(index))
    }
  }

  private static func service(_ index: Int) -> Service {
    let size = Pool.defaultTableSize
    return Service(id: UInt32(index + 1), firstSlot: UInt32(index * size), slots: UInt32(size))
  }

  /// The port in network order, and TCP.
  private static var portAndProtocol: UInt32 { UInt32(Installation.port.bigEndian) | 6 << 16 }

  private static func record(_ address: IPAddress) -> Record {
    var record = Record(repeating: 0)
    let destination = words(address.octets)
    for (index, word) in destination.enumerated() { record[index] = word }
    if address.family == .v6 {
      for (index, word) in words([0xfd, 0, 1, 0x72]).enumerated() { record[4 + index] = word }
    } else {
      // Version and length, "don't fragment", TTL and protocol, destination: 16-bit words as they lie in memory.
      record[8] = 0x0045 + 0x0040 + 0x0440 + (destination[0] & 0xffff) + (destination[0] >> 16)
    }
    let ethernet =
      Installation.nextHop.octets + Installation.mac.octets
      + (address.family == .v6 ? [0x86, 0xdd] : [0x08, 0x00])
    for (index, word) in words(ethernet + [0, 0]).enumerated() { record[9 + index] = word }
    return record
  }

  private static func words(_ octets: [UInt8]) -> [UInt32] {
    stride(from: 0, to: octets.count, by: 4).map { first in
      octets[first..<(first + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
  }
}
