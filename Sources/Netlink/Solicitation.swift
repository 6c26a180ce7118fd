// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

extension Neighbour {
  /// Makes the kernel resolve a neighbour's hardware address, or confirm the known one.
  ///
  /// Packets sent by XDP do not refresh the kernel's neighbour entries, which become stale and are removed. This sends an
  /// empty datagram to the neighbour's UDP port 9 (discard), with a TTL of 1, so that the kernel resolves the address.
  /// It needs no capability, unlike a change of the neighbour table. It does not wait: the result arrives as
  /// ``NetlinkEvent/neighbour(_:removed:)``. The host's output filter must allow the datagram.
  ///
  /// - Throws: `ENODEV` when there is no such interface, `ENETUNREACH` and the like while it is down, `EPERM` where a
  ///   filter refuses the datagram.
  public static func solicit(_ address: IPAddress, interfaceIndex: UInt32) throws(NetlinkError) {
    func fail(_ code: Int32) -> NetlinkError {
      NetlinkError(
        operation: "solicit", subject: "neighbour \(address) on interface \(interfaceIndex)", errno: code)
    }
    guard let index = Int32(exactly: interfaceIndex), index > 0 else { throw fail(ENODEV) }
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard let descriptor = FileDescriptor(owning: socket(address.family.socketFamily, kind, 0)),
      descriptor.setOption(SOL_SOCKET, SO_BINDTOIFINDEX, index),
      address.family == .v4
        ? descriptor.setOption(Int32(IPPROTO_IP), IP_TTL, Int32(1))
        : descriptor.setOption(Int32(IPPROTO_IPV6), IPV6_UNICAST_HOPS, Int32(1))
    else { throw fail(errno) }
    // Send on the link, not through a gateway.
    let flags = Int32(MSG_DONTROUTE) | Int32(MSG_NOSIGNAL)
    let sent = unsafe address.withSocketAddress(port: 9, scope: interfaceIndex) {
      unsafe sendto(descriptor.number, nil, 0, flags, $0.assumingMemoryBound(to: sockaddr.self), $1)
    }
    guard sent == 0 else { throw fail(errno) }
  }
}
