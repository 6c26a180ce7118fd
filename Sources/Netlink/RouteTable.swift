// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

/// An entry of the kernel's routing tables.
struct RouteEntry {
  let route: Route
  let table: UInt32
  let prefix: IPAddress
  let prefixLength: Int
  /// The lower one wins among entries of one prefix.
  let metric: UInt32

  /// Reads `RTM_NEWROUTE` of a list; `nil` when it is malformed, refuses packets or has no usable next hop.
  init?(_ message: Message) {
    guard let route = Route(message), let (header, attributes) = message.body(rtmsg.self),
      let family = AddressFamily(socketFamily: header.rtm_family),
      Int(header.rtm_dst_len) <= family.bitWidth
    else { return nil }
    self.route = route
    prefixLength = Int(header.rtm_dst_len)
    var table = UInt32(header.rtm_table)
    var prefix = IPAddress(family: family, bits: 0)
    var metric: UInt32 = 0
    for attribute in attributes {
      switch attribute.type {
      case Int(RTA_TABLE.rawValue): table = attribute.uint32 ?? table
      case Int(RTA_DST.rawValue): prefix = attribute.address(family) ?? prefix
      case Int(RTA_PRIORITY.rawValue): metric = attribute.uint32 ?? 0
      default: continue
      }
    }
    (self.table, self.prefix, self.metric) = (table, prefix, metric)
  }

  func covers(_ address: IPAddress) -> Bool {
    guard prefix.family == address.family else { return false }
    let width = prefix.family.bitWidth
    return prefixLength == 0 || (prefix.bits ^ address.bits) >> UInt128(width - prefixLength) == 0
  }
}

extension NetlinkSocket {
  /// The best route of the main table to a destination that no router advertisement brought; `nil` when there
  /// is none. Reads the whole table.
  mutating func configuredRoute(to destination: IPAddress) throws(NetlinkError) -> Route? {
    var body = rtmsg()
    body.rtm_family = UInt8(destination.family.socketFamily)
    body.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    let request = MessageWriter(type: RTM_GETROUTE, flags: NLM_F_REQUEST | NLM_F_DUMP, body: body)
    // A kernel without strict checking ignores the filter.
    return try perform("list", "routes", request).compactMap(RouteEntry.init)
      .filter {
        $0.table == UInt32(RT_TABLE_MAIN.rawValue) && !$0.route.isAdvertised && $0.route.kind == .unicast
          && $0.covers(destination)
      }
      .min(by: isPreferred(_:to:))?.route
  }
}

/// Of routes that cover an address: the longest prefix first, then the lowest metric.
private func isPreferred(_ entry: RouteEntry, to other: RouteEntry) -> Bool {
  entry.prefixLength == other.prefixLength
    ? entry.metric < other.metric : entry.prefixLength > other.prefixLength
}
