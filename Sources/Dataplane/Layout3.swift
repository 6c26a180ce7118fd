// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The records of layout 3, and what they are in the present layout. Slots, flow entries, counters and names are the
/// same in both.
enum Layout3 {
  static let version: UInt32 = 3

  /// Maps that the present layout takes as they are, if they have the sizes it wants.
  static let shared: Set = [
    "slots", "flows", "last_unknown", "pair_counters", "pair_offsets", "verdicts", "flow_events",
    "service_names", "pool_names", "backend_names",
  ]

  struct Service: BitwiseCopyable {
    var binding, before: UInt64
    var affinity, flags, learn, udpIdle, tcpIdle, moved, pairCount, pairCountBefore: UInt32
    var zero: (UInt64, UInt64)

    /// - Parameter table: the word that names its pool's table.
    func record(table: UInt64) -> service {
      service(
        table: table, binding: binding, before: before,
        affinity: CForwardingABI.affinity(rawValue: affinity) ?? .AFFINITY_CHANGES, flags: flags,
        learn: learn,
        udp_idle: udpIdle, tcp_idle: tcpIdle, moved: moved, pair_count: pairCount,
        pair_count_before: pairCountBefore, zero: 0)
    }
  }

  struct Pool: BitwiseCopyable {
    var table: UInt64
    var hash, settle: UInt32

    var record: pool {
      let fields: hash_fields = hash == hash_fields.HASH_SOURCE.rawValue ? .HASH_SOURCE : .HASH_FLOW
      return pool(
        table: table_word(
          UInt32(truncatingIfNeeded: table), UInt32(truncatingIfNeeded: table >> 32) & 0x7fff_ffff, fields),
        settle: UInt64(settle))
    }
  }

  struct Backend: BitwiseCopyable {
    /// Address and RESOLVED, as now, without flags.
    var nextHop: UInt64
    /// Generation in the low half; in the high half 1: usable, 2: leaving, 4: draining.
    var state: UInt64
    var destination: (UInt64, UInt64)
    var source: (UInt64, UInt64)
    var sourceMask: UInt32
    var headerSum: UInt16
    var family: UInt8
    var encapsulation: UInt8
    var mtu: UInt16
    var pair: UInt16
    var sourceLength: UInt8
    var zero: UInt8
    var pool: UInt16

    var generation: UInt32 { UInt32(truncatingIfNeeded: state) }

    /// - Parameter element: the element of `outer_sources` that has an address.
    func record(element: (IPAddress) -> UInt32) -> backend {
      var record = backend()
      unsafe withUnsafeMutableBytes(of: &record.destination) {
        unsafe $0.storeBytes(of: destination.0, as: UInt64.self)
        unsafe $0.storeBytes(of: destination.1, toByteOffset: 8, as: UInt64.self)
      }
      record.source_mask = sourceMask
      record.generation = generation
      record.pair = pair
      record.pool = pool
      record.source_length = sourceLength
      let isV6 = family == AddressFamily.v6.rawValue
      if isV6 {
        let outer = IPAddress(words6: source.0, source.1)
        record.path = path6(outer.bits == 0 ? 0 : element(outer), mtu)
      } else {
        record.path = path4(UInt32(source.1 >> 32), UInt32(destination.1 >> 32), mtu)
      }
      var word = UInt64(encapsulation) << UInt64(BACKEND_ENCAPSULATION_SHIFT)
      let flags = state >> 32
      if isV6 { word |= UInt64(BACKEND_OUTER_IPV6) }
      if flags & 1 != 0 { word |= UInt64(BACKEND_USABLE) }
      if flags & 2 != 0 { word |= UInt64(BACKEND_LEAVING) }
      if flags & 4 != 0 { word |= UInt64(BACKEND_DRAINING) }
      record.next_hop = word | (path_source(record.path) == 0 ? 0 : nextHop & backend.networkBits)
      return record
    }
  }
}
