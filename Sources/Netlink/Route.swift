// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// The route of packets to one destination.
public struct Route: Hashable, Sendable {
  /// What becomes of the packets. Routes that refuse them are errors of ``NetlinkSocket/route(to:)``.
  public enum Kind: UInt8, Hashable, Sendable {
    /// Sent to the gateway, or to the destination itself.
    case unicast = 1
    /// Delivered on this machine.
    case local = 2
    case broadcast = 3
    case anycast = 4
    case multicast = 5
  }

  /// One of the next hops of a route.
  public struct Path: Hashable, Sendable {
    public let interfaceIndex: UInt32
    /// The router on the path; `nil` when the destination is on the link. An IPv4 route may have an IPv6
    /// gateway.
    public let gateway: IPAddress?

    public init(interfaceIndex: UInt32, gateway: IPAddress?) {
      self.interfaceIndex = interfaceIndex
      self.gateway = gateway
    }

    /// The address whose hardware address frames for `destination` carry.
    public func nextHop(for destination: IPAddress) -> IPAddress { gateway ?? destination }
  }

  public let kind: Kind
  /// The usable next hops as the routing table has them, never empty. The kernel's own choice for packets of
  /// this machine comes first if it is one of them.
  public let paths: [Path]
  /// The source address that the kernel would choose.
  public let preferredSource: IPAddress?
  /// The longest packet in octets on this route, where the route itself sets one (`ip route … mtu`). What
  /// path MTU discovery learned is not in it.
  public let mtu: UInt32?
  /// Whether the kernel learned the route from an IPv6 router advertisement, which any host on the link can
  /// send.
  public let isAdvertised: Bool

  init(
    kind: Kind, paths: [Path], preferredSource: IPAddress?, mtu: UInt32?, isAdvertised: Bool = false
  ) {
    self.kind = kind
    self.paths = paths
    self.preferredSource = preferredSource
    self.mtu = mtu
    self.isAdvertised = isAdvertised
  }
}

extension Route {
  /// Reads `RTM_NEWROUTE`; `nil` when it is malformed, refuses packets or has no usable next hop.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(rtmsg.self), let kind = Kind(rawValue: header.rtm_type),
      let family = AddressFamily(socketFamily: header.rtm_family)
    else { return nil }
    var hop = NextHopAttributes(family)
    var paths: [Path] = []
    var preferredSource: IPAddress?
    var mtu: UInt32?
    for attribute in attributes {
      switch attribute.type {
      case Int(RTA_MULTIPATH.rawValue): paths = Self.paths(attribute, family)
      case Int(RTA_PREFSRC.rawValue): preferredSource = attribute.address(family)
      case Int(RTA_METRICS.rawValue): mtu = attribute.attributes.first { $0.type == RTAX_MTU }?.uint32
      default: hop.read(attribute)
      }
    }
    if paths.isEmpty, let index = hop.interfaceIndex {
      paths = [Path(interfaceIndex: index, gateway: hop.gateway)]
    }
    guard !paths.isEmpty else { return nil }
    self.init(
      kind: kind, paths: paths, preferredSource: preferredSource, mtu: mtu == 0 ? nil : mtu,
      isAdvertised: Int32(header.rtm_protocol) == RTPROT_RA)
  }

  /// Reads the list of `struct rtnexthop`, each followed by attributes of its own. Next hops that the kernel
  /// does not use are left out.
  private static func paths(_ attribute: Attribute, _ family: AddressFamily) -> [Path] {
    var paths: [Path] = []
    var rest = attribute.value
    while let header = rest.loaded(rtnexthop.self) {
      let length = Int(header.rtnh_len)
      guard length >= MemoryLayout<rtnexthop>.size, length <= rest.count else { break }
      var hop = NextHopAttributes(family)
      for attribute in Attributes(
        bytes: rest.prefix(length).dropFirst(aligned(MemoryLayout<rtnexthop>.size)))
      {
        hop.read(attribute)
      }
      let unusable = UInt8(RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_UNRESOLVED)
      if header.rtnh_flags & unusable == 0, header.rtnh_ifindex > 0 {
        paths.append(Path(interfaceIndex: UInt32(header.rtnh_ifindex), gateway: hop.gateway))
      }
      rest = rest.dropFirst(aligned(length))
    }
    return paths
  }

  /// The error of a route that refuses packets, as a sender would get it.
  static func refusal(_ message: Message) -> Int32? {
    guard let (header, _) = message.body(rtmsg.self) else { return nil }
    switch Int(header.rtm_type) {
    case RTN_BLACKHOLE: return EINVAL
    case RTN_UNREACHABLE: return EHOSTUNREACH
    case RTN_PROHIBIT: return EACCES
    case RTN_THROW: return ENETUNREACH
    default: return nil
    }
  }
}

/// The attributes that a route and each next hop of a multipath route have in common.
private struct NextHopAttributes {
  let family: AddressFamily
  var interfaceIndex: UInt32?
  var gateway: IPAddress?

  init(_ family: AddressFamily) { self.family = family }

  mutating func read(_ attribute: Attribute) {
    switch attribute.type {
    case Int(RTA_OIF.rawValue): interfaceIndex = attribute.uint32
    case Int(RTA_GATEWAY.rawValue): gateway = attribute.address(family)
    case Int(RTA_VIA.rawValue): gateway = IPAddress(via: attribute)
    default: break
    }
  }
}

extension IPAddress {
  /// Reads `struct rtvia`: an address family of two octets, then the address.
  fileprivate init?(via attribute: Attribute) {
    let octets = attribute.value.dropFirst(MemoryLayout<UInt16>.size)
    guard let number = attribute.value.loaded(UInt16.self),
      let family = AddressFamily(socketFamily: number), octets.count * 8 == family.bitWidth
    else { return nil }
    self.init(family: family, octets: octets)
  }
}

extension NetlinkSocket {
  /// Asks the kernel which route packets of this machine to `destination` take.
  ///
  /// Next hops and MTU are those of the matched entry of the routing table (`RTM_F_FIB_MATCH`). Exceptions,
  /// which the kernel learns from ICMP "fragmentation needed", "too big" and redirects, are not in them:
  /// anyone can forge those. Only the preferred source, which no exception changes, comes from an ordinary
  /// lookup. A route from a router advertisement counts only where no other route covers the destination,
  /// whatever its prefix length, metric and preference.
  ///
  /// - Throws: what a sender would get: `ENETUNREACH` without a route, `EHOSTUNREACH`, `EACCES` or `EINVAL`
  ///   for routes of the kinds unreachable, prohibit and blackhole.
  public mutating func route(to destination: IPAddress) throws(NetlinkError) -> Route {
    let chosen = try lookUp(destination, flags: 0)
    // An address of this machine; the entry names the interface that has it.
    guard chosen.kind == .unicast else { return chosen }
    var entry = try lookUp(destination, flags: UInt32(RTM_F_FIB_MATCH))
    if entry.isAdvertised, let configured = try configuredRoute(to: destination) { entry = configured }
    return Route(
      kind: entry.kind,
      paths: entry.paths.filter(chosen.paths.contains) + entry.paths.filter { !chosen.paths.contains($0) },
      preferredSource: chosen.preferredSource, mtu: entry.mtu, isAdvertised: entry.isAdvertised)
  }

  private mutating func lookUp(_ destination: IPAddress, flags: UInt32) throws(NetlinkError) -> Route {
    let operation = "find route to"
    let subject = "\(destination)"
    let answer = try perform(operation, subject, Self.routeRequest(destination, flags: flags)).first
    if let route = answer.flatMap(Route.init) { return route }
    throw NetlinkError(
      operation: operation, subject: subject, errno: answer.flatMap(Route.refusal) ?? ENETUNREACH)
  }

  /// Without an acknowledgement: the route is one message, and ticks ask for hundreds of them.
  /// - Parameter flags: `RTM_F_` constants.
  static func routeRequest(_ destination: IPAddress, flags: UInt32) -> MessageWriter {
    var body = rtmsg()
    body.rtm_family = UInt8(destination.family.socketFamily)
    body.rtm_dst_len = UInt8(destination.family.bitWidth)
    body.rtm_flags = flags
    var request = MessageWriter(type: RTM_GETROUTE, flags: NLM_F_REQUEST, body: body)
    request.append(RTA_DST.rawValue, octets: destination.octets)
    return request
  }
}
