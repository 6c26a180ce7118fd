// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

/// Messages as a little-endian kernel sends them.
enum Specimens {
  static let link: [UInt8] = [
    0x74, 0, 0, 0,  // nlmsg_len: 116
    0x10, 0,  // nlmsg_type: RTM_NEWLINK
    0, 0,  // nlmsg_flags
    0x05, 0, 0, 0,  // nlmsg_seq
    0x2a, 0, 0, 0,  // nlmsg_pid
    0, 0,  // ifi_family: AF_UNSPEC, padding
    0x01, 0,  // ifi_type: ARPHRD_ETHER
    0x03, 0, 0, 0,  // ifi_index: 3
    0x43, 0x10, 0x01, 0,  // ifi_flags: UP, BROADCAST, RUNNING, MULTICAST, LOWER_UP
    0, 0, 0, 0,  // ifi_change
    0x0a, 0, 0x03, 0, 0x73, 0x6c, 0x6e, 0x6c, 0x30, 0, 0, 0,  // IFLA_IFNAME "slnl0", padding
    0x08, 0, 0x04, 0, 0xdc, 0x05, 0, 0,  // IFLA_MTU: 1500
    0x08, 0, 0x05, 0, 0x02, 0, 0, 0,  // IFLA_LINK: 2
    0x0a, 0, 0x01, 0, 0x02, 0, 0, 0, 0, 0x01, 0, 0,  // IFLA_ADDRESS 02:00:00:00:00:01, padding
    0x1c, 0, 0x2b, 0,  // IFLA_XDP, 28 octets
    0x08, 0, 0x06, 0, 0x80, 0, 0, 0,  // IFLA_XDP_SKB_PROG_ID: 128
    0x05, 0, 0x02, 0, 0x02, 0, 0, 0,  // IFLA_XDP_ATTACHED: XDP_ATTACHED_SKB, padding
    0x08, 0, 0x04, 0, 0x80, 0, 0, 0,  // IFLA_XDP_PROG_ID: 128
    0x10, 0, 0x12, 0,  // IFLA_LINKINFO, 16 octets
    0x09, 0, 0x01, 0, 0x76, 0x65, 0x74, 0x68, 0, 0, 0, 0,  // IFLA_INFO_KIND "veth", padding
  ]

  static let neighbour: [UInt8] = [
    0x38, 0, 0, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr: 56 octets, RTM_NEWNEIGH
    2, 0, 0, 0,  // ndm_family: AF_INET, padding
    0x03, 0, 0, 0,  // ndm_ifindex: 3
    0x04, 0,  // ndm_state: NUD_STALE
    0, 0x01,  // ndm_flags, ndm_type: RTN_UNICAST
    0x08, 0, 0x01, 0, 10, 99, 0, 2,  // NDA_DST
    0x0a, 0, 0x02, 0, 0x02, 0, 0, 0, 0, 0x02, 0, 0,  // NDA_LLADDR 02:00:00:00:00:02, padding
    0x08, 0, 0x0f, 0, 0x01, 0, 0, 0,  // NDA_FLAGS_EXT: NTF_EXT_MANAGED
  ]

  static let route: [UInt8] = [
    0x4c, 0, 0, 0, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr: 76 octets, RTM_NEWROUTE
    2, 32, 0, 0,  // rtm_family: AF_INET, rtm_dst_len, rtm_src_len, rtm_tos
    254, 0, 0, 1,  // rtm_table: RT_TABLE_MAIN, rtm_protocol, rtm_scope, rtm_type: RTN_UNICAST
    0, 0x02, 0, 0,  // rtm_flags: RTM_F_CLONED
    0x08, 0, 0x01, 0, 198, 51, 100, 1,  // RTA_DST
    0x08, 0, 0x04, 0, 0x03, 0, 0, 0,  // RTA_OIF: 3
    0x08, 0, 0x05, 0, 10, 99, 0, 2,  // RTA_GATEWAY
    0x08, 0, 0x07, 0, 10, 99, 0, 1,  // RTA_PREFSRC
    0x0c, 0, 0x08, 0,  // RTA_METRICS, 12 octets
    0x08, 0, 0x02, 0, 0x78, 0x05, 0, 0,  // RTAX_MTU: 1400
    0x04, 0, 0x0c, 0,  // RTA_CACHEINFO, empty here
  ]

  static let address: [UInt8] = [
    0x28, 0, 0, 0, 0x14, 0, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr: 40 octets, RTM_NEWADDR, NLM_F_MULTI
    2, 24, 0x80, 0,  // ifa_family: AF_INET, ifa_prefixlen, ifa_flags: IFA_F_PERMANENT, ifa_scope
    0x03, 0, 0, 0,  // ifa_index: 3
    0x08, 0, 0x01, 0, 10, 99, 0, 9,  // IFA_ADDRESS: the other end
    0x08, 0, 0x02, 0, 10, 99, 0, 1,  // IFA_LOCAL
  ]

  /// The answer to a refused request, with an explanation and without an echo of the request.
  static let refusal: [UInt8] = [
    0x2c, 0, 0, 0,  // nlmsg_len: 44
    0x02, 0,  // nlmsg_type: NLMSG_ERROR
    0, 0x03,  // nlmsg_flags: NLM_F_CAPPED, NLM_F_ACK_TLVS
    0, 0, 0, 0, 0, 0, 0, 0,  // nlmsg_seq, nlmsg_pid
    0xea, 0xff, 0xff, 0xff,  // error: -EINVAL
    0x28, 0, 0, 0, 0x14, 0, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // the request's header: 40 octets
    0x08, 0, 0x01, 0, 0x6f, 0x64, 0x64, 0,  // NLMSGERR_ATTR_MSG "odd"
  ]

  /// The same with an echo: 24 octets more of the request stand before the explanation.
  static let echoingRefusal: [UInt8] =
    [0x44] + refusal[1..<7]
    + [0x02]  // the upper half of nlmsg_flags: NLM_F_ACK_TLVS
    + refusal[8..<36] + [UInt8](repeating: 0xff, count: 24) + refusal[36...]

  /// The end of a list.
  static let done: [UInt8] = [
    0x14, 0, 0, 0, 0x03, 0, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr: 20 octets, NLMSG_DONE, NLM_F_MULTI
    0, 0, 0, 0,  // success
  ]

  static let all = [link, neighbour, route, address, refusal, echoingRefusal, done]
}

/// The one message in `bytes`.
func onlyMessage(in bytes: [UInt8]) throws -> Message {
  let messages = Message.parse(bytes[...]) ?? []
  try #require(messages.count == 1)
  return messages[0]
}
