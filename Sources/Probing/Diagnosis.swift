// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// One probe, made now; if it fails, further probes that find the layer at fault.
///
/// A probe through a tunnel that gets no answer may have been lost at several points. Echo requests locate the loss: to
/// the VIP through the tunnel, to the backend's own address through the tunnel, and to that address without the tunnel.
public final class Diagnosis {
  /// The findings, in order of time.
  public struct Finding: Hashable, Sendable {
    public enum Result: String, Sendable {
      case ok
      case failed
      /// Information only.
      case note
    }

    public var result: Result
    public var step: String
    public var detail: String
    /// Since the diagnosis began.
    public var after: Duration
  }

  public struct Report: Sendable {
    public var findings: [Finding]
    /// nil: the probe passed.
    public var failure: ProbeOutcome.Failure?
  }

  /// The time to wait for an echo reply: long for a reply, short for an operator.
  private static let patience = Duration.seconds(1)
  /// The longest time after the probe's end: at most this many questions, each asked twice.
  public static let longest = patience * 2 * (4 + outerSourcesTried)
  /// The number of echo requests with outer sources as client packets have: a backend may allow only a part of the
  /// prefix.
  private static let outerSourcesTried = 4

  private let prober: Prober
  private let probe: Probe
  private let backend: IPAddress
  private let outerSources: IPPrefix?
  private let began = ProbeClock.now
  private var findings: [Finding] = []

  /// - Parameters:
  ///   - backend: the backend's own address.
  /// - outerSources: the prefix of the outer sources of client packets; `nil`: they have this host's address.
  public init(of probe: Probe, to backend: IPAddress, outerSources: IPPrefix?, by prober: Prober) {
    self.prober = prober
    self.probe = probe
    self.backend = backend
    self.outerSources = outerSources
  }

  public func run() async -> Report {
    let outcome = await prober.run(probe)
    for step in outcome.steps {
      findings.append(Finding(result: .ok, step: "probe", detail: step.what, after: step.after))
    }
    guard let failure = outcome.failure else {
      find(.ok, probe.kind.name, "passed")
      await warnOfMTU()
      return Report(findings: findings, failure: nil)
    }
    find(.failed, probe.kind.name, failure.reason)
    let cause =
      failure.layer == .timeout ? await cause(of: failure, isConnected: isConnected(outcome)) : failure
    return Report(findings: findings, failure: cause)
  }

  private func isConnected(_ outcome: ProbeOutcome) -> Bool {
    probe.kind.transport == .tcp && !outcome.steps.isEmpty
  }

  /// The layer that lost a probe which got no answer in time.
  private func cause(of failure: ProbeOutcome.Failure, isConnected: Bool) async
    -> ProbeOutcome.Failure
  {
    guard prober.canEcho else {
      find(.note, "echo", "not possible: the daemon was started without CAP_NET_RAW")
      return failure
    }
    guard let tunnel = probe.tunnel else { return await causeWithoutTunnel(failure) }
    if isConnected || probe.isFullSize {
      let mtu = await mtuFailure(tunnel)
      if let mtu { return mtu }
    }
    if isConnected { return failure }
    return tunnel.isEncapsulated ? await causeInTunnel(failure, tunnel) : await causeOnLink(tunnel)
  }

  private func causeWithoutTunnel(_ failure: ProbeOutcome.Failure) async -> ProbeOutcome.Failure {
    let lost = await ask("echo to the backend itself", echo(to: backend, through: nil))
    if let lost, lost.layer == .local { return lost }
    if probe.kind == .icmp {
      return lost == nil ? tooLate(backend) : .init(.route, "\(backend) does not answer echo requests")
    }
    if lost == nil {
      return .init(
        .port,
        "the backend answers echo requests, but nothing answers on port \(probe.port): \(failure.reason)")
    }
    return .init(.route, "\(backend) answers neither echo requests nor the probe")
  }

  /// The failed probe was itself an echo request: a later one with a longer timeout was answered.
  private func tooLate(_ address: IPAddress) -> ProbeOutcome.Failure {
    .init(.timeout, "\(address) answers echo requests, but not always within \(probe.timeout.formatted)")
  }

  /// How the probe's packets travel.
  private var passage: String {
    probe.tunnel?.isEncapsulated ?? true ? "through the tunnel" : "at the backend's link-layer address"
  }

  /// The VIP is reachable, but the port does not answer.
  private var silentPort: ProbeOutcome.Failure {
    if probe.kind == .icmp { return tooLate(probe.destination) }
    return .init(
      .port,
      "the VIP answers echo requests \(passage), but nothing answers on port \(probe.port): "
        + "a firewall on the backend, or a listener that accepts nothing")
  }

  private func causeInTunnel(
    _ failure: ProbeOutcome.Failure, _ tunnel: Probe.Tunnel
  ) async -> ProbeOutcome.Failure {
    let asClients = await causeInOuterSources(tunnel)
    if let asClients, [.local, .tunnel].contains(asClients.layer) { return asClients }
    if outerSources != nil, asClients == nil { return silentPort }
    // Use the balancer's own address as source, so that errors about the outer packet come back.
    var own = tunnel
    own.fromOwnAddress = true
    let lost = await ask(
      "echo to the VIP through the tunnel, from this host's own address",
      echo(to: probe.destination, through: own))
    guard let lost else {
      guard let outerSources else { return silentPort }
      return .init(
        .tunnel,
        "the backend takes packets from this host's own address, and none with the outer sources that clients' packets "
          + "have: \(outerSources) is missing in its list of allowed sources (sluice-backend up --allow)")
    }
    if lost.layer == .local { return lost }
    if lost.layer == .tunnel || lost.layer == .mtu { return lost }
    let outside = await ask("echo to the backend itself, without tunnel", echo(to: backend, through: nil))
    if let outside, outside.layer == .local { return outside }
    if outside != nil {
      return .init(
        .route, "\(backend) answers nothing, not even echo requests without tunnel: is the machine up?")
    }
    if backend.family != probe.destination.family {
      return .init(
        .reply,
        "the backend answers echo requests, the VIP does not through the tunnel: is there a tunnel for "
          + "\(probe.destination.family == .v4 ? "IPv4 in IPv6" : "IPv6 in IPv4"), is \(probe.destination) on its lo, "
          + "does rp_filter drop what comes out?")
    }
    let inside = await ask("echo to the backend itself through the tunnel", echo(to: backend, through: own))
    guard let inside else {
      return .init(
        .vip,
        "the backend decapsulates, but \(probe.destination) does not answer: it is no address of the backend")
    }
    if inside.layer == .tunnel { return inside }
    return .init(
      .reply,
      "the backend takes what comes through the tunnel and nobody answers: its host drops it (rp_filter) or the reply "
        + "is lost on the path back")
  }

  /// The layer at fault where packets go to the backend's link-layer address without an outer header.
  private func causeOnLink(_ tunnel: Probe.Tunnel) async -> ProbeOutcome.Failure {
    let lost = await ask(
      "echo to the VIP at the backend's link-layer address", echo(to: probe.destination, through: tunnel))
    guard let lost else { return silentPort }
    if lost.layer == .local || lost.layer == .mtu { return lost }
    let own = await ask("echo to the backend itself", echo(to: backend, through: nil))
    if let own, own.layer == .local { return own }
    if own != nil {
      return .init(.route, "\(backend) answers nothing, not even echo requests to itself: is the machine up?")
    }
    return .init(
      .vip,
      "the backend answers, \(probe.destination) does not: it is no address of the backend, or its host drops the packets "
        + "(rp_filter, a firewall)")
  }

  /// Why echo requests with outer sources like those of client packets are lost; `nil`: they are answered, or client
  /// packets have this host's own address.
  private func causeInOuterSources(_ tunnel: Probe.Tunnel) async -> ProbeOutcome.Failure? {
    guard let outerSources else { return nil }
    var answered = 0
    var lost: ProbeOutcome.Failure?
    for _ in 0..<Self.outerSourcesTried {
      // Each has another identifier, and so another outer source.
      let failure = await ask(
        "echo to the VIP through the tunnel, outer source of \(outerSources)",
        echo(to: probe.destination, through: tunnel))
      if failure == nil { answered += 1 }
      lost = failure ?? lost
      // If the first gets no reply, one is enough: the operator is waiting.
      if answered == 0 { break }
    }
    guard let failure = lost, failure.layer != .local else { return lost }
    return answered == 0
      ? failure
      : .init(
        .tunnel,
        "the backend takes packets with some outer sources of \(outerSources) and not with others: its list of allowed "
          + "sources (sluice-backend up --allow) has only a part of the prefix")
  }

  private func mtuFailure(_ tunnel: Probe.Tunnel) async -> ProbeOutcome.Failure? {
    let small = echo(to: probe.destination, through: tunnel)
    if await ask("echo to the VIP \(passage)", small) != nil { return nil }
    var large = small
    large.isFullSize = true
    if await ask("echo of \(tunnel.mtu) octets to the VIP \(passage)", large) == nil { return nil }
    return .init(
      .mtu,
      "small packets arrive \(passage), those of \(tunnel.mtu) octets do not: the path to the backend has a lower "
        + "MTU than the balancer knows")
  }

  private func warnOfMTU() async {
    guard let tunnel = probe.tunnel, !probe.isFullSize, prober.canEcho else { return }
    let mtu = await mtuFailure(tunnel)
    if let mtu { find(.note, "mtu", mtu.reason) }
  }

  private func echo(to destination: IPAddress, through tunnel: Probe.Tunnel?) -> Probe {
    Probe(
      kind: .icmp, destination: destination, port: 0, tunnel: tunnel,
      interfaceIndex: tunnel == nil ? nil : probe.interfaceIndex, timeout: Self.patience)
  }

  /// Why a request is not answered; `nil` if it is.
  private func ask(_ what: String, _ request: Probe) async -> ProbeOutcome.Failure? {
    let first = await prober.run(request)
    // One packet may be lost, and hosts limit the rate of the errors that they send.
    let outcome = first.hasPassed ? first : await prober.run(request)
    find(outcome.hasPassed ? .ok : .failed, "echo", "\(what): \(outcome.failure?.reason ?? "answered")")
    return outcome.failure
  }

  private func find(_ result: Finding.Result, _ step: String, _ detail: String) {
    findings.append(Finding(result: result, step: step, detail: detail, after: ProbeClock.now - began))
  }
}
