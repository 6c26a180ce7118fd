// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Netlink

/// What goes to the kernel, octet by octet. The numbers are those of a little-endian machine.
@Suite struct RequestBytesTests {
  @Test func linkByName() {
    var request = NetlinkSocket.linkRequest()
    request.append(3, text: "lo")
    #expect(
      request.numbered(7) == [
        0x30, 0, 0, 0,  // nlmsg_len: 48
        0x12, 0,  // nlmsg_type: RTM_GETLINK
        0x05, 0,  // nlmsg_flags: NLM_F_REQUEST, NLM_F_ACK
        0x07, 0, 0, 0,  // nlmsg_seq
        0, 0, 0, 0,  // nlmsg_pid: the kernel knows
        0, 0,  // ifi_family: AF_UNSPEC, padding
        0, 0,  // ifi_type
        0, 0, 0, 0,  // ifi_index: chosen by name
        0, 0, 0, 0,  // ifi_flags
        0, 0, 0, 0,  // ifi_change
        0x08, 0, 0x1d, 0,  // IFLA_EXT_MASK, 8 octets
        0x08, 0, 0, 0,  // RTEXT_FILTER_SKIP_STATS
        0x07, 0, 0x03, 0,  // IFLA_IFNAME, 7 octets
        0x6c, 0x6f, 0, 0,  // "lo", its end, one octet of padding
      ])
  }

  @Test func routeToOneDestination() {
    #expect(
      NetlinkSocket.routeRequest(IPAddress("192.0.2.1")!, flags: 0x2000).numbered(1) == [
        0x24, 0, 0, 0,  // nlmsg_len: 36
        0x1a, 0,  // nlmsg_type: RTM_GETROUTE
        0x01, 0,  // nlmsg_flags: NLM_F_REQUEST
        0x01, 0, 0, 0,  // nlmsg_seq
        0, 0, 0, 0,  // nlmsg_pid
        2, 32, 0, 0,  // rtm_family: AF_INET, rtm_dst_len, rtm_src_len, rtm_tos
        0, 0, 0, 0,  // rtm_table, rtm_protocol, rtm_scope, rtm_type
        0, 0x20, 0, 0,  // rtm_flags: RTM_F_FIB_MATCH
        0x08, 0, 0x01, 0,  // RTA_DST, 8 octets
        192, 0, 2, 1,
      ])
  }

  @Test func addressOnLoopback() {
    let address = InterfaceAddress(
      interfaceIndex: 1, address: IPAddress("192.0.2.80")!, prefixLength: 32)
    #expect(
      NetlinkSocket.addressRequest(20, address, flags: 0x600).numbered(1) == [
        0x28, 0, 0, 0,  // nlmsg_len: 40
        0x14, 0,  // nlmsg_type: RTM_NEWADDR
        0x05, 0x06,  // nlmsg_flags: NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE
        0x01, 0, 0, 0,  // nlmsg_seq
        0, 0, 0, 0,  // nlmsg_pid
        2, 32, 0, 0,  // ifa_family: AF_INET, ifa_prefixlen, ifa_flags, ifa_scope
        1, 0, 0, 0,  // ifa_index
        0x08, 0, 0x02, 0,  // IFA_LOCAL, 8 octets
        192, 0, 2, 80,
        0x08, 0, 0x01, 0,  // IFA_ADDRESS, 8 octets
        192, 0, 2, 80,
      ])
  }

  @Test func ipv6AddressesSkipDuplicateDetection() {
    let address = InterfaceAddress(
      interfaceIndex: 1, address: IPAddress("fd99::80")!, prefixLength: 128)
    let family = NetlinkSocket.addressRequest(20, address).bytes[16]
    let flags = NetlinkSocket.addressRequest(20, address).bytes[18]
    #expect(family == 10 && flags == 0x02)  // AF_INET6, IFA_F_NODAD
  }

  @Test func nestedLengthsCoverWhatIsInside() {
    var request = MessageWriter(type: 16, flags: 1, body: UInt32(9))
    request.nest(18) { $0.append(1, text: "veth") }
    request.append(27, UInt8(5))
    #expect(
      request.bytes == [
        0x2c, 0, 0, 0, 0x10, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // nlmsghdr: 44 octets
        0x09, 0, 0, 0,  // the fixed part
        0x10, 0, 0x12, 0x80,  // IFLA_LINKINFO with NLA_F_NESTED, 16 octets
        0x09, 0, 0x01, 0,  // IFLA_INFO_KIND, 9 octets
        0x76, 0x65, 0x74, 0x68, 0, 0, 0, 0,  // "veth", its end, three octets of padding
        0x05, 0, 0x1b, 0,  // IFLA_GROUP, 5 octets
        0x05, 0, 0, 0,  // one octet and padding
      ])
  }
}
