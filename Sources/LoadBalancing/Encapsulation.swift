// SPDX-License-Identifier: Apache-2.0

/// How packets reach the backends of a pool. What does not belong to its kind has one value, so that two encapsulations
/// are equal if packets look alike.
public struct Encapsulation: Hashable, Sendable {
  /// The switches over all kinds, here and in `Dataplane`, name what a new one needs.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// The packet in a bare IP header of the backend's family (RFC 2003, 2473, 4213).
    case ipip
    /// Generic UDP encapsulation (draft-ietf-intarea-gue).
    case gue
    /// The packet directly behind UDP, as the kernel's `fou` receives it: a port says which IP version follows.
    case fou
    /// The packet behind a GRE header without checksum, key or sequence number (RFC 2784).
    case gre
    /// No header: the packet goes, as it is, to the link-layer address of the backend, which must be on the link.
    case l2

    /// Of a pool that names none.
    public static let standard = Kind.ipip

    /// The UDP destination ports unless others are configured; nil: it has no UDP header.
    public var standardPorts: Ports? {
      switch self {
      case .ipip, .gre, .l2: nil
      case .gue: Ports(v4: 6080, v6: 6080)
      case .fou: Ports(v4: 5555, v6: 5556)
      }
    }
  }

  /// The two layouts of GUE.
  public enum Variant: Int, Hashable, Sendable, CaseIterable {
    /// A GUE header of four octets is between UDP and the packet.
    case header = 0
    /// The packet follows UDP directly; its first octet names its IP version.
    case direct = 1

    public static let standard = Variant.direct
  }

  /// UDP destination ports of IPv4 and IPv6 packets.
  public struct Ports: Hashable, Sendable {
    public var v4: UInt16
    public var v6: UInt16

    public init(v4: UInt16, v6: UInt16) {
      self.v4 = v4
      self.v6 = v6
    }
  }

  public let kind: Kind
  /// Of GUE; nil: of all others.
  public let variant: Variant?
  /// nil: it has no UDP header. GUE has one port for both families.
  public let ports: Ports?
  /// The prefixes of the outer source addresses, per family. The bits after the prefix are derived from the flow, so
  /// that the backend's NIC spreads flows over its queues. `nil`: the address of the balancer's interface.
  public var source4: IPPrefix?
  public var source6: IPPrefix?

  /// - Parameters:
  ///   - source4: ignored, as is `source6`, where there is no outer header.
  ///   - variant: nil: the standard one. Ignored unless GUE.
  ///   - port: UDP destination; nil: the standard one. Ignored where there is no UDP header.
  ///   - port6: the same for IPv6 packets; ignored unless FOU.
  public init(
    kind: Kind = .standard, variant: Variant? = nil, port: UInt16? = nil, port6: UInt16? = nil,
    source4: IPPrefix? = nil, source6: IPPrefix? = nil
  ) {
    self.kind = kind
    self.variant = kind == .gue ? variant ?? .standard : nil
    ports = kind.standardPorts.map { standard in
      let v4 = port ?? standard.v4
      return Ports(v4: v4, v6: kind == .gue ? v4 : port6 ?? standard.v6)
    }
    self.source4 = kind == .l2 ? nil : source4
    self.source6 = kind == .l2 ? nil : source6
  }

  public func source(_ family: AddressFamily) -> IPPrefix? { family == .v4 ? source4 : source6 }

  /// Octets that it adds in front of a packet on the path to a backend of the family.
  public func overhead(for family: AddressFamily) -> Int {
    switch kind {
    case .ipip: family.headerLength
    case .gue: family.headerLength + (variant == .header ? 12 : 8)
    case .fou: family.headerLength + 8
    case .gre: family.headerLength + 4
    case .l2: 0
    }
  }

  /// Whether there is an outer header.
  public var isTunnel: Bool { kind != .l2 }

  /// The most that any encapsulation adds to a packet, in octets.
  public static let largestOverhead =
    Kind.allCases.flatMap { kind in
      Variant.allCases.map { Encapsulation(kind: kind, variant: $0).overhead(for: .v6) }
    }.max() ?? 0

  /// The part of it that matters for a backend of this family.
  public func towards(_ family: AddressFamily) -> Encapsulation {
    var part = self
    if family == .v4 { part.source6 = nil } else { part.source4 = nil }
    return part
  }
}

extension Encapsulation: CustomStringConvertible {
  /// Kind and variant: `gue variant 1`.
  public var name: String { variant.map { "\(kind.rawValue) variant \($0.rawValue)" } ?? kind.rawValue }

  /// Without the outer sources: `gue variant 1, port 6080`.
  public var description: String {
    guard let ports else { return name }
    return ports.v4 == ports.v6 ? "\(name), port \(ports.v4)" : "\(name), ports \(ports.v4) and \(ports.v6)"
  }
}
