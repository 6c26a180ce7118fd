// SPDX-License-Identifier: Apache-2.0
import Glibc
import LoadBalancing
import Testing

@testable import Probing

@Suite struct ProbeSocketTests {
  private func option(_ descriptor: CInt, _ level: CInt, _ name: CInt) -> CInt {
    var value: CInt = -1
    var size = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(descriptor, level, name, &value, &size)
    return value
  }

  /// What poll(2) says of the socket within some time that nobody asked for: POLLERR, POLLHUP.
  private func complaint(_ descriptor: CInt, within milliseconds: CInt) -> Int16 {
    var entry = pollfd(fd: descriptor, events: 0, revents: 0)
    poll(&entry, 1, milliseconds)
    return entry.revents
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func `what lies in the queue of errors is gone once the connection stands, and nothing more comes`(
    _ address: String
  ) throws {
    let listener = Listener(on: address)
    let socket = try ProbeSocket(
      for: listener.probe(), type: SOCK_STREAM, run: 1, flows: nil)
    defer { socket.close() }
    let isV4 = listener.address.family == .v4
    let level = CInt(isV4 ? IPPROTO_IP : IPPROTO_IPV6)
    let name = isV4 ? IP_RECVERR : IPV6_RECVERR
    #expect(option(socket.descriptor, level, name) == 1)
    // An ICMP error cannot be had at will while a connection stands; when an octet left is told in the same queue.
    var timestamps = CInt(1 << 1 | 1 << 4)
    setsockopt(
      socket.descriptor, SOL_SOCKET, SO_TIMESTAMPING, &timestamps, socklen_t(MemoryLayout<CInt>.size))
    #expect(send(socket.descriptor, [1], 1, CInt(MSG_NOSIGNAL)) == 1)
    #expect(complaint(socket.descriptor, within: 10_000) == Int16(POLLERR))

    socket.leaveErrorsToKernel(listener.address.family)
    #expect(complaint(socket.descriptor, within: 0) == 0)
    #expect(option(socket.descriptor, level, name) == 0)
    #expect(socket.error(of: listener.probe()) == nil)
  }

  @Test(
    arguments: [
      (ECONNREFUSED, .port), (ECONNRESET, .port), (EPIPE, .port), (EPROTO, .port), (ENOPROTOOPT, .port),
      (ENETUNREACH, .route), (EHOSTUNREACH, .route), (EHOSTDOWN, .route), (ENONET, .route), (EACCES, .route),
      (EMSGSIZE, .mtu), (ETIMEDOUT, .timeout), (EPERM, .local), (EADDRNOTAVAIL, .local), (ENOBUFS, .local),
    ] as [(CInt, ProbeLayer)])
  func `an error that comes from the network is not the balancer's own`(_ number: CInt, _ layer: ProbeLayer) {
    #expect(ProbeOutcome.Failure.waiting(for: Listener().probe(), number).layer == layer)
  }

  @Test(arguments: [
    ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENETDOWN, EACCES, EPERM, EINVAL, EADDRNOTAVAIL, ENOBUFS,
  ])
  func `what a call that sends returns is the balancer's own`(_ number: CInt) {
    #expect(ProbeOutcome.Failure.sending(Listener().probe(), number).layer == .local)
  }

  @Test func `an answer that a call returns at once is the backend's`() {
    #expect(ProbeOutcome.Failure.sending(Listener().probe(), ECONNREFUSED).layer == .port)
    #expect(ProbeOutcome.Failure.sending(Listener().probe(), EMSGSIZE).layer == .mtu)
  }
}
