// SPDX-License-Identifier: Apache-2.0
internal import BPF
internal import CForwardingABI
internal import LoadBalancing

/// The lists that the program decides by: addresses that tunnels end at, VIPs, outer sources, and encapsulations.
struct AddressLists: Equatable {
  var tunnelAddresses: [IPAddress]
  /// This host's addresses that are neither VIPs nor tunnel addresses. No client has them.
  var otherAddresses: [IPAddress] = []
  var vips: [IPAddress]
  var sources: [IPPrefix]
  var formats = TunnelFormats()
}

extension Decapsulation {
  func lists() throws(BPFError) -> AddressLists {
    let own = try tunnelAddresses.entries()
    func addresses(endingTunnels: Bool) -> [IPAddress] {
      own.filter { ($0.value & UInt32(ADDRESS_ENDS_TUNNELS) != 0) == endingTunnels }
        .compactMap { IPAddress($0.key) }.sorted()
    }
    return AddressLists(
      tunnelAddresses: addresses(endingTunnels: true), otherAddresses: addresses(endingTunnels: false),
      vips: try vips.entries().compactMap { IPAddress($0.key) }.sorted(),
      sources: (try sources4.entries().compactMap { IPPrefix($0.key) }
        + (try sources6.entries().compactMap { IPPrefix($0.key) })).sorted(),
      formats: try formats())
  }

  /// Adds the missing entries before it removes the others, so that what stays on the lists is served throughout. Where
  /// a map cannot hold both, it removes the others first.
  func install(_ wanted: AddressLists) throws(BPFError) {
    var installed = try lists()
    if Set(installed.vips + wanted.vips).count > Int(try vips.info.maxEntries) {
      try removeVIPs(of: installed, besides: wanted)
      installed.vips = []
    }
    if try !fits(installed.sources, wanted.sources) {
      try removeSources(of: installed, besides: wanted)
      installed.sources = []
    }
    for address in wanted.tunnelAddresses {
      try tunnelAddresses.update(host_address(address), to: UInt32(ADDRESS_ENDS_TUNNELS))
    }
    for address in wanted.otherAddresses {
      try tunnelAddresses.update(host_address(address), to: UInt32(ADDRESS_OF_HOST))
    }
    for address in wanted.vips { try vips.update(host_address(address), to: 1) }
    for prefix in wanted.sources { try setSource(prefix, isAllowed: true) }
    try install(wanted.formats)

    try removeSources(of: installed, besides: wanted)
    try removeVIPs(of: installed, besides: wanted)
    let own = Set(wanted.tunnelAddresses + wanted.otherAddresses)
    for address in installed.tunnelAddresses + installed.otherAddresses where !own.contains(address) {
      try tunnelAddresses.delete(host_address(address))
    }
  }

  /// Whether both lists fit the maps together.
  private func fits(_ installed: [IPPrefix], _ wanted: [IPPrefix]) throws(BPFError) -> Bool {
    let all = Set(installed + wanted)
    let count4 = all.count { $0.address.family == .v4 }
    let (space4, space6) = (try sources4.info.maxEntries, try sources6.info.maxEntries)
    return count4 <= Int(space4) && all.count - count4 <= Int(space6)
  }

  private func removeSources(of installed: AddressLists, besides wanted: AddressLists) throws(BPFError) {
    let wanted = Set(wanted.sources)
    for prefix in installed.sources where !wanted.contains(prefix) {
      try setSource(prefix, isAllowed: false)
    }
  }

  private func removeVIPs(of installed: AddressLists, besides wanted: AddressLists) throws(BPFError) {
    let wanted = Set(wanted.vips)
    for address in installed.vips where !wanted.contains(address) {
      try vips.delete(host_address(address))
    }
  }

  private func setSource(_ prefix: IPPrefix, isAllowed: Bool) throws(BPFError) {
    switch prefix.address.family {
    case .v4:
      let key = source_prefix4(prefix)
      if isAllowed { try sources4.update(key, to: 1) } else { try sources4.delete(key) }
    case .v6:
      let key = source_prefix6(prefix)
      if isAllowed { try sources6.update(key, to: 1) } else { try sources6.delete(key) }
    }
  }
}

extension host_address {
  fileprivate init(_ address: IPAddress) {
    self.init()
    family = UInt32(address.family.rawValue)
    unsafe withUnsafeMutableBytes(of: &octets) { unsafe $0.copyBytes(from: address.octets) }
  }
}

extension source_prefix4 {
  fileprivate init(_ prefix: IPPrefix) {
    self.init()
    length = UInt32(prefix.length)
    unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.copyBytes(from: prefix.address.octets) }
  }
}

extension source_prefix6 {
  fileprivate init(_ prefix: IPPrefix) {
    self.init()
    length = UInt32(prefix.length)
    unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.copyBytes(from: prefix.address.octets) }
  }
}

extension IPAddress {
  /// `nil` if the family is unknown.
  fileprivate init?(_ key: host_address) {
    guard let family = AddressFamily(rawValue: UInt8(truncatingIfNeeded: key.family)) else { return nil }
    let octets = unsafe withUnsafeBytes(of: key.octets) { unsafe Array($0.prefix(family.bitWidth / 8)) }
    self.init(family: family, octets: octets)
  }
}

extension IPPrefix {
  fileprivate init?(_ key: source_prefix4) {
    let octets = unsafe withUnsafeBytes(of: key.address) { unsafe Array($0) }
    self.init(IPAddress(family: .v4, octets: octets), length: Int(key.length))
  }

  fileprivate init?(_ key: source_prefix6) {
    let octets = unsafe withUnsafeBytes(of: key.address) { unsafe Array($0) }
    self.init(IPAddress(family: .v6, octets: octets), length: Int(key.length))
  }
}

extension Sequence<IPPrefix> {
  func sorted() -> [IPPrefix] { sorted { ($0.address, $0.length) < ($1.address, $1.length) } }
}
