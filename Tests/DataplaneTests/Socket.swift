// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Testing

/// A TCP socket in the namespace where it was made. Every wait has an end.
final class Socket {
  private let descriptor: Int32

  private init(owning descriptor: Int32) throws {
    self.descriptor = descriptor
    try #require(descriptor >= 0 && fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
    // For commands that other tests start meanwhile.
    try #require(fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0)
  }

  /// At a port of the kernel's choice.
  convenience init(boundTo address: IPAddress) throws {
    let family = address.family == .v4 ? AF_INET : AF_INET6
    try self.init(owning: socket(family, Int32(SOCK_STREAM.rawValue), 0))
    try #require(Self.with(address, 0) { bind(descriptor, $0, $1) } == 0, "\(address): errno \(errno)")
  }

  convenience init(listeningAt address: IPAddress) throws {
    try self.init(boundTo: address)
    try #require(listen(descriptor, 8) == 0)
  }

  deinit { close(descriptor) }

  func port() throws -> UInt16 {
    var octets = [UInt8](repeating: 0, count: 28)
    var length = socklen_t(octets.count)
    let result = octets.withUnsafeMutableBytes {
      getsockname(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
    }
    try #require(result == 0)
    return UInt16(octets[2]) << 8 | UInt16(octets[3])
  }

  /// `TCP_MAXSEG`
  func setLargestSegment(_ count: Int) throws {
    var count = Int32(count)
    try #require(setsockopt(descriptor, Int32(IPPROTO_TCP), 2, &count, 4) == 0)
  }

  /// Whether the connection comes about in so many seconds; if not, the kernel goes on trying.
  func connect(to address: IPAddress, _ port: UInt16, within seconds: Int32) throws -> Bool {
    try #require(Self.with(address, port) { Glibc.connect(descriptor, $0, $1) } == 0 || errno == EINPROGRESS)
    return try awaitConnection(within: seconds)
  }

  func awaitConnection(within seconds: Int32) throws -> Bool {
    guard wait(for: POLLOUT, seconds) else { return false }
    var (error, length): (Int32, socklen_t) = (0, 4)
    try #require(getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0)
    return error == 0
  }

  func accept(within seconds: Int32) throws -> Socket {
    try #require(wait(for: POLLIN, seconds))
    return try Socket(owning: Glibc.accept(descriptor, nil, nil))
  }

  /// Sends all, and returns what of it came to the other end in so many seconds.
  func send(_ octets: [UInt8], to other: Socket, within seconds: Int) -> [UInt8] {
    var (sent, arrived) = (0, [UInt8]())
    let end = ContinuousClock.now + .seconds(seconds)
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while arrived.count < octets.count, ContinuousClock.now < end {
      let written = octets[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      sent += max(written, 0)
      guard other.wait(for: POLLIN, milliseconds: 10) else { continue }
      let read = recv(other.descriptor, &buffer, buffer.count, 0)
      guard read > 0 else { break }
      arrived += buffer[..<read]
    }
    return arrived
  }

  private func wait(for event: Int32, _ seconds: Int32) -> Bool {
    wait(for: event, milliseconds: seconds * 1000)
  }

  private func wait(for event: Int32, milliseconds: Int32) -> Bool {
    var waiting = pollfd(fd: descriptor, events: Int16(event), revents: 0)
    return poll(&waiting, 1, milliseconds) > 0
  }

  /// Lends the address as the kernel wants it.
  private static func with(
    _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    let isV4 = address.family == .v4
    let family = [UInt8(isV4 ? AF_INET : AF_INET6), 0, UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
    let octets =
      isV4
      ? family + address.octets + [UInt8](repeating: 0, count: 8)
      : family + [0, 0, 0, 0] + address.octets + [0, 0, 0, 0]
    return octets.withUnsafeBytes {
      body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(octets.count))
    }
  }
}
