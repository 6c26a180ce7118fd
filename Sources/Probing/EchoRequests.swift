// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// The echo requests under way, by their identifier; on the prober's thread.
struct EchoRequests {
  private var runs: [UInt16: ProbeRun] = [:]
  private var latest: UInt16
  /// What replies must hold: another process of this host may use the same identifier.
  private let cookie: [UInt8]
  private var buffer = [UInt8](repeating: 0, count: 65_535)

  init() {
    var random = SystemRandomNumberGenerator()
    latest = random.next()
    cookie = (0..<8).map { _ in random.next() }
  }

  /// An identifier that no other request has; nil: all are in use.
  mutating func take(for run: ProbeRun) -> UInt16? {
    guard runs.count < 60_000 else { return nil }
    repeat { latest &+= 1 } while runs[latest] != nil || latest == 0
    runs[latest] = run
    return latest
  }

  var all: [ProbeRun] { Array(runs.values) }

  mutating func forget(_ identifier: UInt16) { runs[identifier] = nil }

  /// - Parameter size: of the whole packet, from its IP header on.
  func request(_ identifier: UInt16, _ family: AddressFamily, size: Int) -> [UInt8] {
    let room = size - family.headerLength - ICMPMessage.headerLength
    let padding = [UInt8](repeating: 0x53, count: max(0, room - cookie.count))
    return ICMPMessage.request(family, identifier: identifier, sequence: 1, payload: cookie + padding)
  }

  /// What came in since the last look: whose probe is over, and how.
  mutating func outcomes(_ sockets: EchoSockets, _ family: AddressFamily) -> [(
    ProbeRun, ProbeOutcome.Failure?
  )] {
    var found: [(ProbeRun, ProbeOutcome.Failure?)] = []
    // A flood must not keep the thread here.
    for _ in 0..<256 {
      guard let (packet, sender) = sockets.receive(family, into: &buffer) else { break }
      switch ICMPMessage(packet, family, from: sender) {
      case .reply(let identifier, 1, let payload)?:
        guard let run = runs[identifier], run.probe.destination == sender, payload.starts(with: cookie) else {
          continue
        }
        found.append((run, nil))
      case .error(let identifier, let complaint)?:
        guard let run = runs[identifier] else { continue }
        found.append((run, .init(complaint.layer, "\(complaint.from) says: \(complaint.what)")))
      case .reply?, nil: continue
      }
    }
    return found
  }
}

extension ProbeRun {
  func askForEcho() {
    guard let sockets = loop.echo else {
      return finish(
        .init(.local, "echo requests take CAP_NET_RAW, which was not there when the daemon started"))
    }
    guard let identifier = loop.echoes.take(for: self) else {
      return finish(.init(.local, "too many echo requests are under way"))
    }
    self.identifier = identifier
    var source: IPAddress?
    if let tunnel = probe.tunnel, let steering = loop.steering {
      do throws(ProbeOutcome.Failure) {
        source = try loop.sources.source(towards: probe.destination, over: probe.interfaceIndex)
        try steer(from: source!, identifier, tunnel, steering)
      } catch {
        return finish(error)
      }
    }
    let size = probe.isFullSize ? probe.tunnel?.mtu ?? 1500 : 64
    let message = loop.echoes.request(identifier, probe.destination.family, size: size)
    let number = sockets.send(message, to: probe.destination, from: source, over: probe.interfaceIndex)
    guard number == 0 else { return finish(.connecting(to: probe, number)) }
    expectation = "no answer to an echo request of \(size) octets"
  }

  private func steer(
    from source: IPAddress, _ identifier: UInt16, _ tunnel: Probe.Tunnel, _ steering: any ProbeSteering
  ) throws(ProbeOutcome.Failure) {
    let flow = ProbeFlow(
      source: source, sourcePort: identifier, destination: probe.destination, port: 0,
      transport: source.family == .v4 ? .icmp4 : .icmp6)
    do {
      try steering.steer(flow, into: tunnel)
    } catch {
      throw .init(.local, "the probe cannot be steered: \(error)")
    }
    echoFlow = flow
  }
}
