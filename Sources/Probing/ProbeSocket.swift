// SPDX-License-Identifier: Apache-2.0
internal import CProbing
internal import Glibc
internal import LoadBalancing

/// The socket of a probe: steered into its tunnel before its first packet, and closed without leaving anything behind.
struct ProbeSocket {
  /// MAX_TCP_WINDOW of Linux: TCP_MAXSEG refuses more.
  private static let largestSegment = 32767

  private(set) var descriptor: CInt
  /// What was steered; nil: nothing.
  private(set) var flow: ProbeFlow?

  /// Begins to connect. When the socket is writable, ``error(of:)`` tells what came of it.
  /// - Parameter run: whose flow it is, by its number.
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
      // An end by RST: an orderly one would keep the port for a minute, and there are 28,000 for each destination.
      set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
      if let tunnel = probe.tunnel {
        // What is larger would be dropped on entering the tunnel, without a word.
        let headers = probe.destination.family == .v4 ? 40 : 60
        set(CInt(IPPROTO_TCP), TCP_MAXSEG, CInt(min(tunnel.mtu - headers, Self.largestSegment)))
      }
    }
    // So that it can be told who sent an ICMP error, and datagrams learn of all of them, not only of closed ports.
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

  /// Takes a port of this host, which makes the flow known before its first packet.
  private func bind(_ probe: Probe, _ type: __socket_type) throws(ProbeOutcome.Failure) -> ProbeFlow {
    let source = try probe.tunnelSource()
    guard unsafe source.withSocketAddress(port: 0, { unsafe Glibc.bind(descriptor, $0, $1) }) == 0 else {
      throw .local("no port on \(source)", errno)
    }
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
        // The port stands at the same place in both families.
        return unsafe UnsafeRawPointer($0).load(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
    }
  }

  private func connect(_ probe: Probe) throws(ProbeOutcome.Failure) {
    let result = unsafe probe.stackDestination.withSocketAddress(
      port: probe.port, scope: probe.interfaceIndex ?? 0
    ) {
      unsafe Glibc.connect(descriptor, $0, $1)
    }
    if result != 0, errno != EINPROGRESS { throw .sending(probe, errno) }
  }

  /// Why the connection failed; nil: it stands.
  func error(of probe: Probe) -> ProbeOutcome.Failure? {
    var number: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size) == 0 else {
      return .local("the socket's state cannot be read", errno)
    }
    return number == 0 ? nil : failure(number, of: probe)
  }

  /// The connection stands: what ICMP says of it from here on is nothing but a hint, as for any connection.
  ///
  /// An entry in the queue of errors makes a socket ready for ever. Who then finds nothing to read tries again and
  /// again; NIO takes it for a bug of its own, and ends the process.
  func leaveErrorsToKernel(_ family: AddressFamily) {
    queueErrors(family, false)
    drop_errors(descriptor)
  }

  /// What an error of the socket says of the probe, and who sent it.
  func failure(_ number: CInt, of probe: Probe) -> ProbeOutcome.Failure {
    guard let sender = senderOfError(probe.destination.family) else { return .waiting(for: probe, number) }
    return .told(by: sender, number, of: probe, isOwn: sender == flow?.source)
  }

  /// Who sent the ICMP message that the socket's error comes from; nil: it comes from elsewhere, such as a RST.
  private func senderOfError(_ family: AddressFamily) -> IPAddress? {
    var storage = sockaddr_storage()
    guard unsafe take_icmp_error(descriptor, &storage) == 1 else { return nil }
    return unsafe withUnsafeBytes(of: &storage) { unsafe IPAddress(socketAddress: $0) }
  }

  /// Gives the descriptor to somebody who closes it; the flow stays.
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

  /// What an ICMP error says of the probe.
  /// - Parameter isOwn: whether it is this host's, about a next hop that does not answer.
  static func told(by sender: IPAddress, _ number: CInt, of probe: Probe, isOwn: Bool) -> Self {
    switch number {
    case ECONNREFUSED: .init(.port, "port unreachable, says \(sender)")
    case EMSGSIZE: .init(.mtu, "the probe is larger than the way's MTU, says \(sender)")
    // Who says so got the packet out of the tunnel, and sent it on instead of taking it.
    case _ where probe.tunnel != nil && !isOwn:
      .init(.vip, "\(probe.destination): \(explanation(of: number)), says \(sender): not an address of it")
    case _ where isOwn: .unresolved(probe, number)
    default: .init(.route, "\(probe.destination): \(explanation(of: number)), says \(sender)")
    }
  }

  /// The next hop does not answer address resolution. Where that is the backend itself, or may be, it is the backend's
  /// fault.
  private static func unresolved(_ probe: Probe, _ number: CInt) -> Self {
    guard let tunnel = probe.tunnel, !tunnel.isBackendSilent else {
      return .init(.route, "\(probe.stackDestination): \(explanation(of: number)), says this host")
    }
    return .local("next hop \(probe.stackDestination) does not answer this host", number)
  }

  /// What an error says that a call returned which was to send something: it is this host's own.
  static func sending(_ probe: Probe, _ number: CInt) -> Self {
    switch number {
    case ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET, EACCES, EINVAL:
      .local("this host has no way to send to \(probe.stackDestination)", number)
    case ENETDOWN, ENODEV: .local("the interface is down or gone", number)
    case EPERM: .local("a filter of this host refuses the probe", number)
    default: .connecting(to: probe, number)
    }
  }

  /// What an error says of the probe that a socket got while it waited, so not from this host alone.
  static func waiting(for probe: Probe, _ number: CInt) -> Self {
    switch number {
    // What ICMPv6 says of a firewall; from connect(2) itself it is this host's own.
    case EACCES: .init(.route, "\(probe.destination): administratively prohibited")
    case EPERM: .sending(probe, number)
    default: .connecting(to: probe, number)
    }
  }

  /// What an error of a socket that connects, or is connected, says of the probe.
  static func connecting(to probe: Probe, _ number: CInt) -> Self {
    switch number {
    case ECONNREFUSED: .init(.port, "connection refused")
    case ECONNRESET, EPIPE: .init(.port, "connection reset")
    case EPROTO, ENOPROTOOPT: .init(.port, "\(probe.destination): \(explanation(of: number))")
    case ETIMEDOUT: .init(.timeout, "no answer to the connection")
    case ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET:
      .init(.route, "\(probe.destination): \(explanation(of: number))")
    case EADDRNOTAVAIL, EADDRINUSE: .local("no free port towards \(probe.destination)", number)
    case EMSGSIZE: .init(.mtu, "the probe is larger than the way's MTU")
    default: .local("connection to \(probe.destination)", number)
    }
  }
}
