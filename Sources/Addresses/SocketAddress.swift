// SPDX-License-Identifier: Apache-2.0
internal import Glibc

extension AddressFamily {
  /// `AF_INET` or `AF_INET6`.
  public var socketFamily: Int32 { self == .v4 ? AF_INET : AF_INET6 }

  /// `nil` for what is neither `AF_INET` nor `AF_INET6`, for example a bridge's forwarding entry.
  public init?(socketFamily: some BinaryInteger) {
    switch Int32(truncatingIfNeeded: socketFamily) {
    case AF_INET: self = .v4
    case AF_INET6: self = .v6
    default: return nil
    }
  }
}

// `struct sockaddr` is passed as untyped memory: in a target that also imports NIO's C modules, the compiler may take the
// struct of this module's interface and the target's own for different types.
extension IPAddress {
  /// Reads a `sockaddr_in` or `sockaddr_in6`; `nil` if it is neither, or too short.
  public init?(socketAddress bytes: UnsafeRawBufferPointer) {
    guard unsafe bytes.count >= MemoryLayout<sockaddr_in>.size,
      let family = unsafe AddressFamily(socketFamily: bytes.loadUnaligned(as: sa_family_t.self))
    else { return nil }
    switch family {
    case .v4: unsafe self.init(family: .v4, octets: bytes[4..<8])
    case .v6:
      guard unsafe bytes.count >= MemoryLayout<sockaddr_in6>.size else { return nil }
      unsafe self.init(family: .v6, octets: bytes[8..<24])
    }
  }

  /// Calls `body` with the address as `sockaddr_in` or `sockaddr_in6`, and its size.
  /// - Parameters:
  ///   - port: host order.
  ///   - scope: the interface of a link-local address; 0: none.
  public func withSocketAddress<Result>(
    port: UInt16, scope: UInt32 = 0, _ body: (UnsafeRawPointer, UInt32) -> Result
  ) -> Result {
    switch family {
    case .v4:
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(truncatingIfNeeded: bits).bigEndian
      return unsafe withUnsafeBytes(of: address) { unsafe body($0.baseAddress!, UInt32($0.count)) }
    case .v6:
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &address.sin6_addr) { unsafe $0.copyBytes(from: octets) }
      address.sin6_scope_id = scope
      return unsafe withUnsafeBytes(of: address) { unsafe body($0.baseAddress!, UInt32($0.count)) }
    }
  }
}
