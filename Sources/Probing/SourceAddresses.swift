// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// The address from which this host talks to a destination, as its routes say; asked again four times a second, so that
/// a VIP that becomes an address of this host is noticed before it is judged.
final class SourceAddresses {
  private struct Way: Hashable {
    var destination: IPAddress
    var interfaceIndex: UInt32?
  }

  private static let lifetime = Duration.milliseconds(250)
  /// Ways that are kept; more are no ways of checks any more.
  private static let capacity = 8192
  private var known: [Way: (source: IPAddress, until: Duration)] = [:]

  /// - Throws: where there is no way, or none that leaves this host.
  func source(
    towards destination: IPAddress, over interfaceIndex: UInt32?
  ) throws(ProbeOutcome.Failure) -> IPAddress {
    let way = Way(destination: destination, interfaceIndex: interfaceIndex)
    let now = ProbeClock.now
    if let found = known[way], found.until > now { return found.source }
    // A socket bound to an interface does not see that an address is this host's own, on another interface such as lo.
    let isOwn = interfaceIndex != nil && (try? ask(Way(destination: destination))) == destination
    let source = isOwn ? destination : try ask(way)
    guard source != destination else {
      throw .init(
        .local,
        "VIP \(destination) is an address of this balancer: its packets never leave it, and clients reach this host "
          + "instead of a backend. Take it off its interface")
    }
    if known.count >= Self.capacity { known = [:] }
    known[way] = (source, now + Self.lifetime)
    return source
  }

  /// Connects a datagram socket, which sends nothing, and looks at what the kernel bound it to.
  private func ask(_ way: Way) throws(ProbeOutcome.Failure) -> IPAddress {
    let family = way.destination.family
    let descriptor = socket(family.socketFamily, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .local("no socket", errno) }
    defer { close(descriptor) }
    if var index = way.interfaceIndex {
      unsafe _ = setsockopt(
        descriptor, SOL_SOCKET, SO_BINDTOIFINDEX, &index, socklen_t(MemoryLayout<UInt32>.size))
    }
    let result = unsafe way.destination.withSocketAddress(port: 9, scope: way.interfaceIndex ?? 0) {
      unsafe connect(descriptor, $0, $1)
    }
    guard result == 0 else {
      throw .init(
        .route, "no route to \(way.destination) over the balancer's interface: \(explanation(of: errno))")
    }
    return try ownAddress(descriptor, family)
  }

  private func ownAddress(
    _ descriptor: CInt, _ family: AddressFamily
  ) throws(ProbeOutcome.Failure) -> IPAddress {
    var octets = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_storage>.size)
    var size = socklen_t(octets.count)
    let result = unsafe octets.withUnsafeMutableBytes { bytes in
      unsafe getsockname(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size)
    }
    guard result == 0 else { throw .local("the socket's address cannot be read", errno) }
    guard let address = unsafe octets.withUnsafeBytes({ unsafe IPAddress(socketAddress: $0) }) else {
      throw .init(.local, "the socket has no address")
    }
    return address
  }
}

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
