// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI
internal import LoadBalancing

// Values into the kernel's layout and back. Backends are in BackendRecord.swift, buckets in ServiceBuckets.swift.

extension service_key4 {
  init(address: IPAddress, port: UInt16, protocolNumber: UInt8) {
    self.init(
      address: address.word4, port: port.bigEndian, protocol: protocolNumber, zero: 0)
  }

  var vip: IPAddress { IPAddress(word4: address) }
}

extension service_key6 {
  init(address: IPAddress, port: UInt16, protocolNumber: UInt8) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &self.address) { unsafe $0.copyBytes(from: address.octets) }
    self.port = port.bigEndian
    self.protocol = protocolNumber
  }

  var vip: IPAddress { IPAddress(family: .v6, octets: octets(of: address)) }
}

extension IPAddress {
  /// An IPv4 address as it lies in memory, in network order.
  var word4: UInt32 { UInt32(truncatingIfNeeded: bits).bigEndian }

  init(word4: UInt32) { self.init(family: .v4, bits: UInt128(UInt32(bigEndian: word4))) }

  /// The octets 0 to 7 and 8 to 15 of an IPv6 address as they lie in memory, in network order.
  var words6: (high: UInt64, low: UInt64) {
    (UInt64(truncatingIfNeeded: bits >> 64).bigEndian, UInt64(truncatingIfNeeded: bits).bigEndian)
  }

  init(words6 high: UInt64, _ low: UInt64) {
    self.init(
      family: .v6, bits: UInt128(UInt64(bigEndian: high)) << 64 | UInt128(UInt64(bigEndian: low)))
  }
}

extension identity {
  init(_ text: String) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &name) {
      unsafe $0.copyBytes(from: text.utf8.prefix(Int(IDENTITY_LENGTH) - 1))
    }
  }

  var text: String { String(decoding: octets(of: name).prefix { $0 != 0 }, as: UTF8.self) }
}

extension pool {
  /// - Parameter settle: in ticks.
  init(_ installed: InstalledState.Pool, settle: UInt32) {
    self.init(table: installed.tableWord, settle: UInt64(settle))
  }
}

extension InstalledState.Pool {
  /// The word that names its table and how a packet's slot is found in it.
  var tableWord: UInt64 { table_word(UInt32(firstSlot), UInt32(slots.count), hash.abi) }
}

extension HashFields {
  fileprivate var abi: hash_fields {
    switch self {
    case .flow: .HASH_FLOW
    case .source: .HASH_SOURCE
    }
  }

  /// - Parameter table: the word that names a table.
  init(ofTable table: UInt64) { self = table_hash(table) == .HASH_SOURCE ? .source : .flow }
}

extension LoadBalancing.Affinity.Mode {
  /// - Parameter moved: whether the service's flows may still be those of the pool that it had.
  func abi(moved: Bool) -> CForwardingABI.affinity {
    switch self {
    case .changes: moved ? .AFFINITY_MOVED : .AFFINITY_CHANGES
    case .all: moved ? .AFFINITY_MOVED_ALL : .AFFINITY_ALL
    case .none: .AFFINITY_NONE
    }
  }

  init(_ abi: CForwardingABI.affinity) {
    switch abi {
    case .AFFINITY_ALL, .AFFINITY_MOVED_ALL: self = .all
    case .AFFINITY_NONE: self = .none
    default: self = .changes
    }
  }
}

/// Eight octets of a record, as one store writes them.
func word(of record: some BitwiseCopyable, at offset: Int) -> UInt64 {
  unsafe withUnsafeBytes(of: record) { unsafe $0.load(fromByteOffset: offset, as: UInt64.self) }
}

func octets<Tuple>(of tuple: Tuple) -> [UInt8] { unsafe withUnsafeBytes(of: tuple) { unsafe Array($0) } }
