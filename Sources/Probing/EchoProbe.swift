// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// Echo requests in flight, by their identifiers.
struct EchoTable {
  private var runs: [UInt16: ProbeRun] = [:]
  /// The number of packets to read before other work gets its turn.
  private static let packetsInTurn = 256

  /// - Returns: an unpredictable identifier that no request in flight has; `nil` if all are in use.
  mutating func add(_ run: ProbeRun) -> UInt16? {
    guard runs.count < Int(UInt16.max) else { return nil }
    var identifier = UInt16.random(in: 0...UInt16.max)
    while runs[identifier] != nil { identifier &+= 1 }
    runs[identifier] = run
    return identifier
  }

  mutating func forget(_ identifier: UInt16) { runs[identifier] = nil }

  /// Reads received packets and dispatches them to the requests in flight.
  func receive(from sockets: EchoSockets, _ family: AddressFamily, into buffer: inout [UInt8]) -> [() -> Void]
  {
    var calls: [() -> Void] = []
    for _ in 0..<Self.packetsInTurn {
      guard let (count, sender) = sockets.receive(family, into: &buffer) else { break }
      if let call = ICMPMessage(family, buffer[..<count]).flatMap({ handler(for: $0, from: sender) }) {
        calls.append(call)
      }
    }
    return calls
  }

  /// `nil`: it belongs to no request in flight.
  func handler(for message: ICMPMessage, from sender: IPAddress) -> (() -> Void)? {
    switch message {
    case .echoReply(let identifier, let sequence, let payload):
      guard let run = runs[identifier], run.isAnswered(by: sender, sequence, payload) else { return nil }
      return { run.finish(nil) }
    case .error(let complaint, let quotation):
      guard let echo = quotation.echo, let run = runs[echo.identifier] else { return nil }
      let failure = ProbeOutcome.Failure.reported(by: sender, complaint, about: quotation, of: run.probe)
      switch run.quotation(by: echo) {
      case .proven: return { run.finish(failure) }
      case .unproven: return { run.failureSoFar = failure }
      case .foreign: return nil
      }
    }
  }
}

extension ProbeRun {
  static let echoSequence: UInt16 = 1

  /// Whether the sender of an ICMP error has seen the echo request.
  enum Quotation {
    /// It quotes the unpredictable part.
    case proven
    /// It quotes too little to decide.
    case unproven
    case foreign
  }
  /// Random octets.
  private static let unguessable = 8

  func askForEcho() {
    guard let sockets = loop.echo, sockets.descriptor(probe.destination.family) >= 0 else {
      return finish(.init(.local, "echo requests need CAP_NET_RAW, which the daemon was started without"))
    }
    guard let (identifier, source) = prepareEcho() else { return }
    echoPayload = payload()
    let request = ICMPMessage.echoRequest(
      probe.destination.family, identifier: identifier, sequence: Self.echoSequence, payload: echoPayload)
    expectation = "no echo reply"
    let number = sockets.send(request, to: probe.stackDestination, from: source, over: probe.interfaceIndex)
    guard let number else { return addStep("echo request of \(echoPayload.count + 8) octets sent") }
    finish(.sending(probe, number))
  }

  /// Eight random octets, repeated: only a host that got the request knows them.
  private func payload() -> [UInt8] {
    let headers = probe.destination.family.headerLength + 8
    let count = probe.isFullSize ? max(8, (probe.tunnel?.mtu ?? 0) - headers) : 48
    let chance = UInt64.random(in: 0...UInt64.max)
    return (0..<count).map { UInt8(truncatingIfNeeded: chance >> UInt64($0 % 8 * 8)) }
  }

  /// A host that gets requests could forge errors about requests to other hosts. So an error takes effect at once only
  /// if it quotes the random octets of the request. Otherwise it becomes the reason if no reply comes.
  func quotation(by echo: ICMPMessage.Echo) -> Quotation {
    // Data behind the quoted packet's end was added by the router (RFC 4884 §4).
    let quoted = echo.payload.prefix(echoPayload.count)
    guard [probe.destination, probe.stackDestination].contains(echo.destination),
      echoPayload.starts(with: quoted)
    else { return .foreign }
    return quoted.count >= Self.unguessable ? .proven : .unproven
  }

  func isAnswered(by sender: IPAddress, _ sequence: UInt16, _ payload: ArraySlice<UInt8>) -> Bool {
    sender == probe.stackDestination && sequence == Self.echoSequence && payload.elementsEqual(echoPayload)
  }
}

extension ProbeOutcome.Failure {
  /// The failure that an ICMP error about an echo request means.
  static func reported(
    by sender: IPAddress, _ complaint: ICMPMessage.Complaint, about quotation: ICMPMessage.Quotation,
    of probe: Probe
  ) -> Self {
    let outer = "the encapsulated packet to \(quotation.destination)"
    switch complaint {
    case .tooBig(let mtu):
      let size = mtu > 0 ? " (MTU \(mtu))" : ""
      return .init(.mtu, "too big for the path to \(quotation.destination)\(size), says \(sender)")
    case .protocolUnreachable where quotation.isEncapsulated:
      return .init(.tunnel, "protocol unreachable, says \(sender): it does not decapsulate")
    case .parameterProblem where quotation.isEncapsulated:
      return .init(.tunnel, "parameter problem, says \(sender) of \(outer): it does not decapsulate")
    // Linux sends this if the tunnel's module is loaded but no tunnel accepts the packet.
    case .unreachable("port unreachable") where quotation.isEncapsulated:
      return .init(.tunnel, "port unreachable, says \(sender): no tunnel takes the packet")
    case .unreachable(let what) where quotation.isEncapsulated:
      // From the backend itself (ip6tnl, a firewall's REJECT) it means the tunnel; from a router, the route.
      return .init(sender == quotation.destination ? .tunnel : .route, "\(what), says \(sender) of \(outer)")
    case .timeExceeded where quotation.isEncapsulated:
      return .init(.route, "a loop: time exceeded, says \(sender) of \(outer)")
    case .unreachable(let what): return .init(probe.tunnel == nil ? .route : .vip, "\(what), says \(sender)")
    case .timeExceeded: return .init(probe.tunnel == nil ? .route : .vip, "time exceeded, says \(sender)")
    case .protocolUnreachable, .parameterProblem:
      return .init(.route, "echo requests are not taken, says \(sender)")
    }
  }
}
