// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// The kernel's decision for packets to one destination.
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

  public let kind: Kind
  public let interfaceIndex: UInt32
  /// The router on the way; `nil` when the destination is on the link. An IPv4 route may have an IPv6
  /// gateway.
  public let gateway: NetworkAddress?
  /// The source address that the kernel would choose.
  public let preferredSource: NetworkAddress?
  /// The longest packet in octets on this route, where the route or path MTU discovery sets one.
  public let mtu: UInt32?

  /// The address whose hardware address frames for `destination` carry.
  public func nextHop(for destination: NetworkAddress) -> NetworkAddress {
    gateway ?? destination
  }
}

extension Route {
  /// Reads `RTM_NEWROUTE`; `nil` when it is malformed or refuses packets.
  init?(_ message: Message) {
    guard let (header, attributes) = message.body(rtmsg.self), let kind = Kind(rawValue: header.rtm_type),
      let family = NetworkAddress.Family(addressFamily: header.rtm_family)
    else { return nil }
    var interfaceIndex: UInt32?
    var gateway: NetworkAddress?
    var preferredSource: NetworkAddress?
    var mtu: UInt32?
    for attribute in attributes {
      switch attribute.type {
      case Int(RTA_OIF.rawValue): interfaceIndex = attribute.uint32
      case Int(RTA_GATEWAY.rawValue): gateway = attribute.address(family)
      case Int(RTA_VIA.rawValue): gateway = NetworkAddress(via: attribute)
      case Int(RTA_PREFSRC.rawValue): preferredSource = attribute.address(family)
      case Int(RTA_METRICS.rawValue): mtu = attribute.attributes.first { $0.type == RTAX_MTU }?.uint32
      default: continue
      }
    }
    guard let interfaceIndex else { return nil }
    self.init(
      kind: kind, interfaceIndex: interfaceIndex, gateway: gateway, preferredSource: preferredSource,
      mtu: mtu == 0 ? nil : mtu)
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

extension NetworkAddress {
  /// Reads `struct rtvia`: an address family of two octets, then the address.
  fileprivate init?(via attribute: Attribute) {
    guard let number = attribute.value.loaded(UInt16.self), let family = Family(addressFamily: number) else {
      return nil
    }
    self.init(family: family, octets: attribute.value.dropFirst(MemoryLayout<UInt16>.size))
  }
}

extension NetlinkSocket {
  /// Asks the kernel how it would send a packet from this machine.
  ///
  /// - Throws: what a sender would get: `ENETUNREACH` without a route, `EHOSTUNREACH`, `EACCES` or `EINVAL`
  ///   for routes of the kinds unreachable, prohibit and blackhole.
  public mutating func route(to destination: NetworkAddress) throws(NetlinkError) -> Route {
    let operation = "find route to"
    let subject = "\(destination)"
    let answer = try perform(operation, subject, Self.routeRequest(destination)).first
    if let route = answer.flatMap(Route.init) { return route }
    throw NetlinkError(
      operation: operation, subject: subject, errno: answer.flatMap(Route.refusal) ?? EBADMSG)
  }

  static func routeRequest(_ destination: NetworkAddress) -> MessageWriter {
    var body = rtmsg()
    body.rtm_family = destination.family.addressFamily
    body.rtm_dst_len = UInt8(destination.family.octetCount * 8)
    var request = MessageWriter(type: RTM_GETROUTE, flags: NLM_F_REQUEST | NLM_F_ACK, body: body)
    request.append(RTA_DST.rawValue, octets: destination.octets)
    return request
  }
}
