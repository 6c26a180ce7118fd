// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI
internal import LoadBalancing

// Values into the kernel's layout and back. The only place that knows byte order.

extension service_key4 {
  init(address: IPAddress, port: UInt16, protocolNumber: UInt8) {
    self.init(
      address: UInt32(truncatingIfNeeded: address.bits).bigEndian, port: port.bigEndian,
      protocol: protocolNumber,
      zero: 0)
  }

  var vip: IPAddress { IPAddress(family: .v4, bits: UInt128(UInt32(bigEndian: address))) }
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

extension identity {
  init(_ text: String) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &name) {
      unsafe $0.copyBytes(from: text.utf8.prefix(Int(IDENTITY_LENGTH) - 1))
    }
  }

  var text: String { String(decoding: octets(of: name).prefix { $0 != 0 }, as: UTF8.self) }
}

extension backend {
  /// - Parameters:
  ///   - pool: the number of its pool.
  ///   - interfaceAddress: the outer source where none is configured.
  init(_ installed: InstalledState.Backend, generation: UInt32, pool: Int, interfaceAddress: IPAddress?) {
    self.init()
    let family = installed.address.family
    let prefix = installed.encapsulation.source(family)
    let source = prefix?.address ?? interfaceAddress ?? IPAddress(family: family, bits: 0)
    let mask = prefix.map { UInt32(truncatingIfNeeded: $0.hostMask) } ?? 0
    state = Self.state(installed, generation: generation)
    setOctets(of: &destination, installed.address)
    setOctets(of: &self.source, source)
    source_mask = mask.bigEndian
    self.family = family.rawValue
    encapsulation = .ENCAPSULATION_IPIP
    pair = UInt16(installed.pair)
    self.pool = UInt16(pool)
    source_length = prefix.map { UInt8($0.length) } ?? UInt8(SOURCE_OF_INTERFACE)
    if family == .v4 { header_sum = Self.constantSum(from: source, to: installed.address) }
  }

  /// Takes over the interface's address as outer source, where none is configured.
  mutating func follow(interfaceAddress: IPAddress) {
    guard sourcePrefix == nil, interfaceAddress.family.rawValue == family else { return }
    setOctets(of: &source, interfaceAddress)
    if family == 4 { header_sum = Self.constantSum(from: interfaceAddress, to: address) }
  }

  static func state(_ installed: InstalledState.Backend, generation: UInt32) -> UInt64 {
    var flags: UInt64 = 0
    if installed.isUsable { flags |= UInt64(BACKEND_USABLE) }
    if installed.isLeaving { flags |= UInt64(BACKEND_LEAVING) }
    if installed.isDraining { flags |= UInt64(BACKEND_DRAINING) }
    return flags << 32 | UInt64(generation)
  }

  /// The ones' complement sum (RFC 1071) of the outer IPv4 header's words that no packet changes: version and length,
  /// DF, TTL 64, and both addresses.
  private static func constantSum(from source: IPAddress, to destination: IPAddress) -> UInt16 {
    let halves = [source, destination].flatMap { [$0.bits >> 16, $0.bits & 0xffff] }.map(UInt32.init)
    var sum = halves.reduce(0x4500 + 0x4000 + 0x4000, +)
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    return UInt16(sum).bigEndian
  }

  var address: IPAddress { readAddress(destination) }
  var outerSource: IPAddress { readAddress(source) }
  var isUsable: Bool { state >> 32 & UInt64(BACKEND_USABLE) != 0 }
  var isLeaving: Bool { state >> 32 & UInt64(BACKEND_LEAVING) != 0 }
  var isDraining: Bool { state >> 32 & UInt64(BACKEND_DRAINING) != 0 }
  var generation: UInt32 { UInt32(truncatingIfNeeded: state) }

  /// The configured source prefix, if it had one.
  var sourcePrefix: IPPrefix? {
    source_length == UInt8(SOURCE_OF_INTERFACE)
      ? nil : IPPrefix(readAddress(source), length: Int(source_length))
  }

  private func readAddress(_ tuple: Octets16) -> IPAddress {
    let all = octets(of: tuple)
    return family == 4 ? IPAddress(family: .v4, octets: all.suffix(4)) : IPAddress(family: .v6, octets: all)
  }
}

/// Eight octets of a record, as one store writes them.
func word(of record: some BitwiseCopyable, at offset: Int) -> UInt64 {
  unsafe withUnsafeBytes(of: record) { unsafe $0.load(fromByteOffset: offset, as: UInt64.self) }
}

typealias Octets16 = (
  UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
  UInt8
)

/// Writes an address into the last octets of a field, as the outer headers are kept.
private func setOctets(of field: inout Octets16, _ address: IPAddress) {
  unsafe withUnsafeMutableBytes(of: &field) { bytes in
    let octets = address.octets
    for (index, octet) in octets.enumerated() { unsafe bytes[16 - octets.count + index] = octet }
  }
}

func octets<Tuple>(of tuple: Tuple) -> [UInt8] { unsafe withUnsafeBytes(of: tuple) { unsafe Array($0) } }

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
