// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc
internal import LoadBalancing

/// The socket of a probe. Its flow is steered into the tunnel before the first packet and released after the last.
struct ProbeSocket {
  /// MAX_TCP_WINDOW of Linux: TCP_MAXSEG refuses more.
  private static let largestSegment = 32767

  private(set) var descriptor: CInt
  /// The steered flow; `nil` without a tunnel.
  private(set) var flow: ProbeFlow?

  /// Starts to connect. When the socket is writable, ``error(of:)`` returns the result.
  /// - Parameter run: the number of the run that owns the flow.
  init(
    for probe: Probe, type: __socket_type, run: UInt64, flows: SteeredFlows?
  ) throws(ProbeOutcome.Failure) {
    let kind = CInt(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = socket(probe.destination.family.socketFamily, kind, 0)
    guard descriptor >= 0 else { throw .local("no socket", errno) }
    do throws(ProbeOutcome.Failure) {
      try prepare(probe, type)
      if let tunnel = probe.tunnel, let flows {
        let flow = try bind(probe, type)
        try flows.steer(flow, into: tunnel, for: run)
        self.flow = flow
      }
      try connect(probe)
    } catch {
      close()
      if let flow { flows?.release(flow, of: run) }
      throw error
    }
  }

  private func prepare(_ probe: Probe, _ type: __socket_type) throws(ProbeOutcome.Failure) {
    if type == SOCK_STREAM {
      // Close with a RST: an orderly close would occupy the port for a minute, and there are 28,000 ports per
      // destination.
      set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
      if let tunnel = probe.tunnel {
        // Larger segments would be dropped silently at the tunnel's entry.
        let headers = probe.destination.family == .v4 ? 40 : 60
        set(CInt(IPPROTO_TCP), TCP_MAXSEG, CInt(min(tunnel.mtu - headers, Self.largestSegment)))
      }
    }
    // This gives the sender of an ICMP error, and reports all errors to datagram sockets, not only those of closed
    // ports.
    queueErrors(probe.destination.family, true)
    guard let index = probe.interfaceIndex else { return }
    guard set(SOL_SOCKET, SO_BINDTOIFINDEX, CInt(bitPattern: index)) else {
      throw .local("the probe cannot be bound to interface \(index)", errno)
    }
  }

  private func queueErrors(_ family: AddressFamily, _ isWanted: Bool) {
    if family == .v4 {
      set(CInt(IPPROTO_IP), IP_RECVERR, CInt(isWanted ? 1 : 0))
    } else {
      set(CInt(IPPROTO_IPV6), IPV6_RECVERR, CInt(isWanted ? 1 : 0))
    }
  }

  /// Binds a port of this host, so that the flow is known before its first packet.
  private func bind(_ probe: Probe, _ type: __socket_type) throws(ProbeOutcome.Failure) -> ProbeFlow {
    let source = try probe.tunnelSource()
    let result = unsafe source.withSocketAddress(port: 0) {
      unsafe Glibc.bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), $1)
    }
    guard result == 0 else { throw .local("no port on \(source)", errno) }
    return ProbeFlow(
      source: source, sourcePort: ownPort(source.family), destination: probe.destination, port: probe.port,
      transport: type == SOCK_STREAM ? .tcp : .udp, standIn: probe.stackDestination)
  }

  private func ownPort(_ family: AddressFamily) -> UInt16 {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        guard unsafe getsockname(descriptor, $0, &size) == 0 else { return 0 }
        // The port has the same offset in both families.
        return unsafe UnsafeRawPointer($0).load(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
    }
  }

  private func connect(_ probe: Probe) throws(ProbeOutcome.Failure) {
    let result = unsafe probe.stackDestination.withSocketAddress(
      port: probe.port, scope: probe.interfaceIndex ?? 0
    ) {
      unsafe Glibc.connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), $1)
    }
    if result != 0, errno != EINPROGRESS { throw .sending(probe, errno) }
  }

  /// Why the connection failed; `nil`: it is established.
  func error(of probe: Probe) -> ProbeOutcome.Failure? {
    var number: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 else {
      return .local("the socket's state cannot be read", errno)
    }
    return number == 0 ? nil : failure(number, of: probe)
  }

  /// The connection is established: from here on ICMP errors are only hints, as for any connection.
  ///
  /// An entry in the error queue keeps a socket ready. A reader that finds no data would retry endlessly; NIO takes
  /// this for a bug and ends the process.
  func leaveErrorsToKernel(_ family: AddressFamily) {
    queueErrors(family, false)
    drop_errors(descriptor)
  }

  /// The failure for a socket error, with the sender of the ICMP message.
  func failure(_ number: CInt, of probe: Probe) -> ProbeOutcome.Failure {
    guard let sender = senderOfError(probe.destination.family) else { return .waiting(for: probe, number) }
    return .reported(by: sender, number, of: probe, isOwn: sender == flow?.source)
  }

  /// The sender of the ICMP message that caused the socket's error; `nil` if it has another cause, such as a RST.
  private func senderOfError(_ family: AddressFamily) -> IPAddress? {
    var storage = sockaddr_storage()
    guard unsafe take_icmp_error(descriptor, &storage) == 1 else { return nil }
    return unsafe withUnsafeBytes(of: &storage) { unsafe IPAddress(socketAddress: $0) }
  }

  /// Gives the descriptor to the caller, who must close it. The flow stays steered.
  mutating func handOver() -> CInt {
    defer { descriptor = -1 }
    return descriptor
  }

  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
  }

  @discardableResult
  private func set<Value: BitwiseCopyable>(_ level: CInt, _ option: CInt, _ value: Value) -> Bool {
    var value = value
    return unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Value>.size)) == 0
  }
}

extension ProbeOutcome.Failure {
  static func local(_ what: String, _ number: CInt) -> Self {
    .init(.local, "\(what): \(explanation(of: number))")
  }

  /// The failure for an ICMP error.
  /// - Parameter isOwn: whether this host sent it, because a next hop does not answer.
  static func reported(by sender: IPAddress, _ number: CInt, of probe: Probe, isOwn: Bool) -> Self {
    switch number {
    case ECONNREFUSED: .init(.port, "port unreachable, says \(sender)")
    case EMSGSIZE: .init(.mtu, "the probe is larger than the path's MTU, says \(sender)")
    // The sender decapsulated the packet and forwarded it instead of accepting it.
    case _ where probe.tunnel != nil && !isOwn:
      .init(.vip, "\(probe.destination): \(explanation(of: number)), says \(sender): not an address of it")
    case _ where isOwn: .unresolved(probe, number)
    default: .init(.route, "\(probe.destination): \(explanation(of: number)), says \(sender)")
    }
  }

  /// The next hop does not answer address resolution. If it is the backend itself, or may be, that is the backend's
  /// failure.
  private static func unresolved(_ probe: Probe, _ number: CInt) -> Self {
    guard let tunnel = probe.tunnel, !tunnel.isBackendSilent else {
      return .init(.route, "\(probe.stackDestination): \(explanation(of: number)), says this host")
    }
    return .local("next hop \(probe.stackDestination) does not answer this host", number)
  }

  /// The failure for an error of a sending call: it is local to this host.
  static func sending(_ probe: Probe, _ number: CInt) -> Self {
    switch number {
    case ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET, EACCES, EINVAL:
      .local("this host cannot send to \(probe.stackDestination)", number)
    case ENETDOWN, ENODEV: .local("the interface is down or gone", number)
    case EPERM: .local("a filter of this host refuses the probe", number)
    default: .connecting(to: probe, number)
    }
  }

  /// The failure for an error that a waiting socket received, which may come from another host.
  static func waiting(for probe: Probe, _ number: CInt) -> Self {
    switch number {
    // ICMPv6's error for a firewall; from connect(2) itself it is local.
    case EACCES: .init(.route, "\(probe.destination): administratively prohibited")
    case EPERM: .sending(probe, number)
    default: .connecting(to: probe, number)
    }
  }

  /// The failure for an error of a TCP socket.
  static func connecting(to probe: Probe, _ number: CInt) -> Self {
    switch number {
    case ECONNREFUSED: .init(.port, "connection refused")
    case ECONNRESET, EPIPE: .init(.port, "connection reset")
    case EPROTO, ENOPROTOOPT: .init(.port, "\(probe.destination): \(explanation(of: number))")
    case ETIMEDOUT: .init(.timeout, "no answer to the connection")
    case ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET:
      .init(.route, "\(probe.destination): \(explanation(of: number))")
    case EADDRNOTAVAIL, EADDRINUSE: .local("no free port towards \(probe.destination)", number)
    case EMSGSIZE: .init(.mtu, "the probe is larger than the path's MTU")
    default: .local("connection to \(probe.destination)", number)
    }
  }
}
