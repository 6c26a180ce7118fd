// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc
internal import LoadBalancing

/// The raw sockets of echo requests (ICMP and ICMPv6), which take CAP_NET_RAW to open and nothing to use.
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

  /// Everything else the host hears by ICMP would wake the prober for nothing. raw(7), RFC 3542 §3.2: a bit that is
  /// set keeps a type out.
  private func receiveOnlyWhatIsReadable() {
    let rawLevel: CInt = 255
    let filter: CInt = 1
    set(v4, rawLevel, filter, ~[0, 3, 11, 12].reduce(UInt32(0)) { $0 | 1 << $1 })
    var mask = [UInt32](repeating: .max, count: 8)
    for type in [1, 2, 3, 4, 129] { mask[type / 32] &= ~(1 << UInt32(type % 32)) }
    let size = socklen_t(mask.count * 4)
    unsafe _ = setsockopt(v6, CInt(IPPROTO_ICMPV6), filter, &mask, size)
    for descriptor in [v4, v6] { takeRoom(descriptor, CInt(8 << 20)) }
  }

  /// Room for the replies of all who ask at once: more than hosts grant by default (`net.core.rmem_max`), which takes
  /// CAP_NET_ADMIN.
  private func takeRoom(_ descriptor: CInt, _ octets: CInt) {
    if !set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, octets) { set(descriptor, SOL_SOCKET, SO_RCVBUF, octets) }
  }

  /// Don't Fragment, and no thought of what was learned of the path: that is what a full-size request finds out.
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

  /// Sends a message; nil: it is on its way, else the errno.
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

  /// Takes one packet; nil: there is none.
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
