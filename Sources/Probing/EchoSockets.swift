// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc
internal import LoadBalancing

/// The raw sockets of echo requests (ICMP and ICMPv6), which take CAP_NET_RAW to open and nothing to use.
public final class EchoSockets: Sendable {
  private let v4: CInt
  private let v6: CInt

  /// - Throws: ``ProbingError``, with EPERM where there is no CAP_NET_RAW.
  public init() throws {
    v4 = try Self.open(AF_INET, CInt(IPPROTO_ICMP))
    do {
      v6 = try Self.open(AF_INET6, CInt(IPPROTO_ICMPV6))
    } catch {
      close(v4)
      throw error
    }
    // Replies, and the errors that tell why there is none.
    let (wanted4, wanted6): ([UInt8], [UInt8]) = ([0, 3, 11, 12], [129, 1, 2, 3, 4])
    unsafe _ = icmp4_accept(v4, wanted4, CInt(wanted4.count))
    unsafe _ = icmp6_accept(v6, wanted6, CInt(wanted6.count))
    // With DF, and whatever this host believes of the way's MTU: to find that out is what they are for.
    Self.set(v4, CInt(IPPROTO_IP), IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
    Self.set(v6, CInt(IPPROTO_IPV6), IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
  }

  deinit {
    close(v4)
    close(v6)
  }

  private static func open(_ family: CInt, _ transport: CInt) throws -> CInt {
    let kind = CInt(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind, transport)
    guard descriptor >= 0 else { throw ProbingError(operation: "raw socket", errno: errno) }
    return descriptor
  }

  private static func set(_ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt) {
    var value = value
    unsafe _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
  }

  func descriptor(_ family: AddressFamily) -> CInt { family == .v4 ? v4 : v6 }

  /// - Returns: 0, or the errno.
  func send(
    _ message: [UInt8], to destination: IPAddress, from source: IPAddress?, over interfaceIndex: UInt32?
  ) -> CInt {
    let (to, from, index) = (destination.octets, source?.octets, interfaceIndex ?? 0)
    let (descriptor, family) = (descriptor(destination.family), destination.family.socketFamily)
    let result =
      if let from {
        unsafe icmp_send(descriptor, family, to, from, index, message, UInt(message.count))
      } else {
        unsafe icmp_send(descriptor, family, to, nil, index, message, UInt(message.count))
      }
    return result == 0 ? 0 : errno
  }

  /// What came in; nil: nothing more.
  /// - Parameter buffer: room for a packet.
  func receive(_ family: AddressFamily, into buffer: inout [UInt8]) -> (
    packet: ArraySlice<UInt8>, from: IPAddress
  )? {
    var storage = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_storage>.size)
    var size = socklen_t(storage.count)
    let count = unsafe storage.withUnsafeMutableBytes { address in
      unsafe buffer.withUnsafeMutableBytes { octets in
        unsafe recvfrom(
          descriptor(family), octets.baseAddress, octets.count, 0,
          address.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size)
      }
    }
    guard count >= 0 else { return nil }
    let sender = family == .v4 ? Array(storage[4..<8]) : Array(storage[8..<24])
    return (buffer[..<count], IPAddress(family: family, octets: sender))
  }
}
