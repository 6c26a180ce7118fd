// SPDX-License-Identifier: Apache-2.0
internal import CNetlink
internal import Glibc

extension Neighbour {
  /// Has the kernel find a neighbour's hardware address, or confirm the one that it knows.
  ///
  /// Traffic that never passes the kernel's own stack does not refresh its neighbour entries: they go stale and
  /// vanish. So the kernel gets something to deliver there, an empty datagram to UDP port 9 (discard) that goes no
  /// further than the neighbour. This takes no capability, unlike changes of the neighbour table; nothing waits for
  /// the outcome, which is a ``NetlinkEvent/neighbour(_:removed:)``. The output filter of the host must let it pass.
  ///
  /// - Throws: `ENODEV` when there is no such interface, `ENETUNREACH` and the like while it is down, `EPERM` where a
  ///   filter refuses the datagram.
  public static func solicit(_ address: NetworkAddress, interfaceIndex: UInt32) throws(NetlinkError) {
    func fail(_ code: Int32) -> NetlinkError {
      NetlinkError(
        operation: "solicit", subject: "neighbour \(address) on interface \(interfaceIndex)", errno: code)
    }
    guard let index = Int32(exactly: interfaceIndex), index > 0 else { throw fail(ENODEV) }
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard let descriptor = FileDescriptor(owning: socket(Int32(address.family.addressFamily), kind, 0)),
      descriptor.setOption(SOL_SOCKET, SO_BINDTOIFINDEX, index),
      address.family == .v4
        ? descriptor.setOption(Int32(IPPROTO_IP), IP_TTL, Int32(1))
        : descriptor.setOption(Int32(IPPROTO_IPV6), IPV6_UNICAST_HOPS, Int32(1))
    else { throw fail(errno) }
    // Not by way of a gateway: a route to the neighbour itself is none of this function's business.
    let flags = Int32(MSG_DONTROUTE) | Int32(MSG_NOSIGNAL)
    let sent = unsafe address.withSocketAddress(port: 9, interfaceIndex: interfaceIndex) {
      unsafe sendto(descriptor.number, nil, 0, flags, $0, $1)
    }
    guard sent == 0 else { throw fail(errno) }
  }
}

extension NetworkAddress {
  /// Lends the address as `sockaddr_in` or `sockaddr_in6`; a link-local one is on the given interface.
  fileprivate func withSocketAddress<Result>(
    port: UInt16, interfaceIndex: UInt32, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    switch family {
    case .v4:
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(truncatingIfNeeded: bits).bigEndian
      return unsafe lend(address, body)
    case .v6:
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &address.sin6_addr) { unsafe $0.copyBytes(from: octets) }
      address.sin6_scope_id = interfaceIndex
      return unsafe lend(address, body)
    }
  }

  private func lend<Address, Result>(
    _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    unsafe withUnsafePointer(to: address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<Address>.size))
      }
    }
  }
}
