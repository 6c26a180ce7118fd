// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

extension AddressFamily {
  var socketFamily: CInt { self == .v4 ? AF_INET : AF_INET6 }
}

extension IPAddress {
  /// Reads a `sockaddr_in` or `sockaddr_in6`; nil: it is neither.
  init?(socketAddress bytes: UnsafeRawBufferPointer) {
    switch unsafe CInt(bytes.load(as: sa_family_t.self)) {
    case AF_INET: unsafe self.init(family: .v4, octets: bytes[4..<8])
    case AF_INET6: unsafe self.init(family: .v6, octets: bytes[8..<24])
    default: return nil
    }
  }

  /// Lends the address as `sockaddr_in` or `sockaddr_in6`.
  /// - Parameter scope: the interface of a link-local address.
  func withSocketAddress<Result>(
    port: UInt16, scope: UInt32 = 0, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
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
      address.sin6_scope_id = scope
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
