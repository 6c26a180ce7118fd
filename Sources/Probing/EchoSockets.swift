// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc
internal import LoadBalancing

/// The raw sockets of echo requests (ICMP and ICMPv6). Opening them requires CAP_NET_RAW; using them requires no
/// capability.
public final class EchoSockets: Sendable {
  private let v4: CInt
  /// -1: this host has no IPv6.
  private let v6: CInt

  /// - Throws: ``ProbingError`` without CAP_NET_RAW.
  public init() throws {
    let kind = CInt(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    v4 = socket(AF_INET, kind, CInt(IPPROTO_ICMP))
    guard v4 >= 0 else { throw ProbingError(operation: "raw socket", errno: errno) }
    v6 = socket(AF_INET6, kind, CInt(IPPROTO_ICMPV6))
    receiveOnlyWhatIsReadable()
    neverFragment()
  }

  deinit {
    close(v4)
    if v6 >= 0 { close(v6) }
  }

  func descriptor(_ family: AddressFamily) -> CInt { family == .v4 ? v4 : v6 }

  /// A filter for other ICMP messages of the host, which would wake the prober needlessly. A set bit blocks a type
  /// (raw(7), RFC 3542 §3.2).
  private func receiveOnlyWhatIsReadable() {
    let rawLevel: CInt = 255
    let filter: CInt = 1
    set(v4, rawLevel, filter, ~[0, 3, 11, 12].reduce(UInt32(0)) { $0 | 1 << $1 })
    var mask = [UInt32](repeating: .max, count: 8)
    for type in [1, 2, 3, 4, 129] { mask[type / 32] &= ~(1 << UInt32(type % 32)) }
    let size = socklen_t(mask.count * 4)
    unsafe _ = setsockopt(v6, CInt(IPPROTO_ICMPV6), filter, &mask, size)
    for descriptor in [v4, v6] { enlargeBuffer(descriptor, CInt(8 << 20)) }
  }

  /// A receive buffer for the replies to all requests in flight. It exceeds the default `net.core.rmem_max`, so it
  /// requires CAP_NET_ADMIN.
  private func enlargeBuffer(_ descriptor: CInt, _ octets: CInt) {
    if !set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, octets) { set(descriptor, SOL_SOCKET, SO_RCVBUF, octets) }
  }

  /// Sets Don't Fragment and ignores the learned path MTU, which full-size requests test.
  private func neverFragment() {
    set(v4, CInt(IPPROTO_IP), IP_MTU_DISCOVER, CInt(IP_PMTUDISC_PROBE))
    set(v6, CInt(IPPROTO_IPV6), IPV6_MTU_DISCOVER, CInt(IPV6_PMTUDISC_PROBE))
    set(v6, CInt(IPPROTO_IPV6), IPV6_DONTFRAG, CInt(1))
  }

  @discardableResult
  private func set<Value: BitwiseCopyable>(
    _ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: Value
  ) -> Bool {
    var value = value
    return unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Value>.size)) == 0
  }

  /// Sends a message. Returns the errno, or `nil` if it was sent.
  /// - Parameter source: nil: as the routes say.
  func send(
    _ message: [UInt8], to destination: IPAddress, from source: IPAddress?, over interfaceIndex: UInt32?
  ) -> CInt? {
    let source = source ?? IPAddress(family: destination.family, bits: 0)
    let sent = unsafe destination.withSocketAddress(port: 0, scope: interfaceIndex ?? 0) { to, size in
      unsafe source.withSocketAddress(port: 0) { from, _ in
        unsafe message.withUnsafeBytes {
          unsafe send_from(
            descriptor(destination.family), to, size, from, interfaceIndex ?? 0, $0.baseAddress, $0.count)
        }
      }
    }
    return sent == message.count ? nil : errno
  }

  /// Receives one packet; `nil` if there is none.
  func receive(_ family: AddressFamily, into buffer: inout [UInt8]) -> (count: Int, sender: IPAddress)? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let count = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe recvfrom(descriptor(family), &buffer, buffer.count, 0, address, &size)
      }
    }
    guard count >= 0,
      let sender = unsafe withUnsafeBytes(of: &storage, { unsafe IPAddress(socketAddress: $0) })
    else { return nil }
    return (count, sender)
  }
}
