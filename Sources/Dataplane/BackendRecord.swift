// SPDX-License-Identifier: Apache-2.0
internal import CForwardingABI
internal import LoadBalancing

/// A backend's record. Two of its words change while packets read it, each by one store: the path (outer source,
/// checksum and MTU) and the next hop (link-layer address and flags).
extension backend {
  /// A record without a next hop and without a path.
  /// - Parameter pool: the number of its pool.
  init(_ installed: InstalledState.Backend, generation: UInt32, pool: Int) {
    self.init()
    let family = installed.address.family
    let prefix = installed.encapsulation.source(family)
    unsafe withUnsafeMutableBytes(of: &destination) { bytes in
      let octets = installed.address.octets
      for (index, octet) in octets.enumerated() { unsafe bytes[16 - octets.count + index] = octet }
    }
    source_mask = prefix.map { UInt32(truncatingIfNeeded: $0.hostMask).bigEndian } ?? 0
    self.generation = generation
    pair = UInt16(installed.pair)
    self.pool = UInt16(pool)
    source_length = prefix.map { UInt8($0.length) } ?? UInt8(SOURCE_OF_INTERFACE)
    port4 = installed.encapsulation.ports?.v4.bigEndian ?? 0
    port6 = installed.encapsulation.ports?.v6.bigEndian ?? 0
    next_hop = Self.flags(installed)
  }

  /// The bits of `next_hop` that follow from what is installed: all but the address and RESOLVED.
  static func flags(_ installed: InstalledState.Backend) -> UInt64 {
    var flags = UInt64(installed.encapsulation.abi.rawValue) << UInt64(BACKEND_ENCAPSULATION_SHIFT)
    if installed.address.family == .v6 { flags |= UInt64(BACKEND_OUTER_IPV6) }
    if installed.isUsable { flags |= UInt64(BACKEND_USABLE) }
    if installed.isLeaving { flags |= UInt64(BACKEND_LEAVING) }
    if installed.isDraining { flags |= UInt64(BACKEND_DRAINING) }
    return flags
  }

  /// The bits of `next_hop` that follow from the network.
  static var networkBits: UInt64 { UInt64(NEXT_HOP_MAC) | UInt64(NEXT_HOP_RESOLVED) }

  /// `next_hop` with this link-layer address. Not resolved without one, without an outer source where there is an outer
  /// header, and where there is none, unless the address is the backend's own: a router would send the packet back.
  func nextHop(_ state: NextHopState?, path: UInt64) -> UInt64 {
    let flags = next_hop & ~Self.networkBits
    guard let state, let mac = state.mac, hasSource(path), isTunnel || state.isOnLink else { return flags }
    return flags | mac.abi | UInt64(NEXT_HOP_RESOLVED)
  }

  /// Whether the path names an outer source, or none is needed.
  func hasSource(_ path: UInt64) -> Bool { path_source(path) != 0 || !isTunnel }

  /// Whether there is an outer header.
  private var isTunnel: Bool { encapsulation_of(next_hop) != .ENCAPSULATION_L2 }

  var family: AddressFamily { next_hop & UInt64(BACKEND_OUTER_IPV6) == 0 ? .v4 : .v6 }

  var address: IPAddress {
    let all = octets(of: destination)
    return family == .v4 ? IPAddress(family: .v4, octets: all.suffix(4)) : IPAddress(family: .v6, octets: all)
  }

  /// Its encapsulation, without sources; nil where the record names none that there is.
  var encapsulation: Encapsulation? {
    let number = UInt8(next_hop >> UInt64(BACKEND_ENCAPSULATION_SHIFT))
    return Encapsulation(
      abi: CForwardingABI.encapsulation(rawValue: number), port4: port4.byteSwapped, port6: port6.byteSwapped)
  }

  var isUsable: Bool { next_hop & UInt64(BACKEND_USABLE) != 0 }
  var isLeaving: Bool { next_hop & UInt64(BACKEND_LEAVING) != 0 }
  var isDraining: Bool { next_hop & UInt64(BACKEND_DRAINING) != 0 }
  var isOfInterface: Bool { source_length == UInt8(SOURCE_OF_INTERFACE) }
}

extension Encapsulation {
  var abi: CForwardingABI.encapsulation {
    switch kind {
    case .ipip: .ENCAPSULATION_IPIP
    case .gue: variant == .header ? .ENCAPSULATION_GUE_HEADER : .ENCAPSULATION_GUE
    case .fou: .ENCAPSULATION_FOU
    case .gre: .ENCAPSULATION_GRE
    case .l2: .ENCAPSULATION_L2
    }
  }

  /// nil unless a record that this daemon wrote can hold it: other ports would not be its own.
  init?(abi: CForwardingABI.encapsulation?, port4: UInt16, port6: UInt16) {
    let candidates = Kind.allCases.flatMap { kind in
      (kind == .gue ? Variant.allCases : [.standard]).map {
        Encapsulation(kind: kind, variant: $0, port: port4, port6: port6)
      }
    }
    guard let found = candidates.first(where: { $0.abi == abi }),
      found.ports ?? Ports(v4: 0, v6: 0) == Ports(v4: port4, v6: port6)
    else { return nil }
    if found.ports != nil { guard port4 != 0, port6 != 0 else { return nil } }
    self = found
  }
}
