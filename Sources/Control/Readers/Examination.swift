// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing
internal import Probing

/// A probe that an operator asked for: what is known of its path before it is sent, and what it found.
struct Examination {
  private let job: HealthBoard.Job
  /// The report as far as it is known without a probe.
  private(set) var report: CheckReport
  /// nil: the probe cannot be sent, and ``report`` says why.
  private(set) var probe: Probe?
  private let encapsulation: Encapsulation
  private let interfaceName: String

  /// - Parameter target: the VIP to probe; nil: the worst.
  init(
    of name: String, in pool: String, target: String?, _ snapshot: Snapshot, _ checks: CheckReading
  ) throws(ControlError) {
    let backend = try snapshot.installedBackend(name, in: pool)
    let key = snapshot.health.checkKey(of: backend)
    let address = try Self.address(target)
    guard let job = checks.job(of: key, at: address) else { throw Self.notChecked(key, pool) }
    if let address, job.destination != address {
      let targets = checks.rows(at: snapshot.at) { $0.pool == pool && $0.backend == name }.map(\.target)
      throw ControlError.notFound("target", "\(address)", among: targets)
    }
    self.job = job
    interfaceName = snapshot.uplinks.interfaceName
    encapsulation = backend.encapsulation
    report = CheckReport(
      pool: pool, backend: name, target: "\(job.destination)", port: job.port == 0 ? nil : Int(job.port),
      type: job.check.kind.name, via: job.check.via.rawValue, passed: false, steps: [], conclusion: "")
    probe = prepare(backend, snapshot)
  }

  private static func address(_ target: String?) throws(ControlError) -> IPAddress? {
    guard let target else { return nil }
    guard let address = IPAddress(target) else {
      throw ControlError.invalid("target \"\(target.prefix(64))\" is not an address")
    }
    return address
  }

  private static func notChecked(_ key: BackendKey, _ pool: String) -> ControlError {
    ControlError.refused(
      "not-checked",
      key.leaving == nil
        ? "backend \(key) is not checked: pool \(pool) has no check, or no service uses it"
        : "backend \(key) is leaving and is not checked: its pool has no check, or was removed before the daemon "
          + "started")
  }

  /// What the outer sources of clients' packets to the backend are chosen from; nil: the interface's address.
  var outerSources: IPPrefix? { encapsulation.source(job.address.family) }

  /// Sends the probe, and finds out which layer fails if it does. The outcome has no influence on the backend's health.
  func run(by prober: Prober) async -> CheckReport {
    guard let probe else { return report }
    let diagnosis = Diagnosis(of: probe, to: job.address, outerSources: outerSources, by: prober)
    let outcome = await diagnosis.run()
    var finished = self
    finished.report.steps += outcome.findings.map {
      CheckReport.Step(
        result: $0.result.rawValue, step: $0.step, detail: $0.detail,
        ms: ($0.after.seconds * 1e6).rounded() / 1000)
    }
    finished.conclude(outcome.failure)
    return finished.report
  }

  private mutating func prepare(_ backend: InstalledState.Backend, _ snapshot: Snapshot) -> Probe? {
    guard job.check.via == .tunnel else { return Probe(job, through: nil, interfaceIndex: nil) }
    let (uplinks, name) = (snapshot.uplinks, interfaceName)
    guard let index = uplinks.interface?.index, uplinks.probeTrouble == nil else {
      return fail(.local, "steering", uplinks.probeTrouble ?? "interface \(name) is gone")
    }
    report.steps.append(
      .init(
        result: "ok", step: "steering",
        detail: "packets of the probe leave \(name) for backend number \(backend.number)"))
    let path = uplinks.path(to: backend)
    guard let path, let mac = path.state.mac else {
      return fail(.route, "route", "\(backend.address): \(path?.trouble ?? "no next hop is known")")
    }
    let via = path.via.map { "via \($0), " } ?? ""
    report.steps.append(.init(result: "ok", step: "route", detail: "\(backend.address) \(via)\(mac)"))
    let inner = path.state.mtu - backend.encapsulation.overhead(for: backend.address.family)
    report.steps.append(
      .init(
        result: "ok", step: "encapsulation",
        detail:
          encapsulation.isTunnel
          ? "\(encapsulation), \(inner) of \(path.state.mtu) octets are left inside"
          : "\(encapsulation): no outer header, packets of up to \(inner) octets"))
    return Probe(
      job, through: uplinks.probePath(to: backend).tunnel(to: job.destination), interfaceIndex: index)
  }

  private mutating func fail(_ layer: ProbeLayer, _ step: String, _ reason: String) -> Probe? {
    report.steps.append(.init(result: "failed", step: step, detail: reason))
    conclude(ProbeOutcome.Failure(layer, reason))
    return nil
  }

  private mutating func conclude(_ failure: ProbeOutcome.Failure?) {
    report.passed = failure == nil
    report.layer = failure?.layer.rawValue
    report.conclusion = failure?.reason ?? "the backend answers as clients need it"
    report.cure = failure.map { cure(for: $0.layer) }
  }

  private func cure(for layer: ProbeLayer) -> String {
    let host = job.destination.family == .v6 ? "[\(job.destination)]" : "\(job.destination)"
    return switch layer {
    case .local: "here: sluice status; ip -brief address; ip route; nft list ruleset; the daemon's log"
    case .route:
      "here: ip route get \(job.address); ping \(job.address); ip neigh show dev \(interfaceName)"
        + (encapsulation.isTunnel ? "" : "; put the backend on the link, or choose another encapsulation")
    case .tunnel:
      "on the backend: sluice-backend up --vip \(job.destination)"
        + encapsulation.receiverOption(for: job.destination.family)
        + (outerSources.map { " --allow \($0)" } ?? "")
        + ", with all that it has already; a firewall there must let "
        + encapsulation.carrier(of: job.destination.family) + " pass"
    case .vip:
      "on the backend: " + (encapsulation.isTunnel ? "sluice-backend up --vip \(job.destination), or: " : "")
        + "ip address add \(job.destination)/\(job.destination.family.bitWidth) dev lo"
    case .mtu:
      "give the path the MTU of this interface, or set the balancer's route to that of the path: ip route change \(job.address) … mtu OCTETS"
    case .reply:
      "on the backend: sluice-backend doctor; sysctl net.ipv4.conf.all.rp_filter, and that of the device that "
        + "packets come out of; ip route get \(job.destination) from there"
    case .port: "on the backend: ss -lntu; what listens must do so on \(job.destination) or on any address"
    case .tls: "on the backend: openssl s_client -connect \(host):\(job.port)"
    case .status, .body: "on the backend: ask it as the check does, and read its log"
    case .timeout:
      "on the backend: look at its load; here: raise the check's timeout if such answers are good enough"
    }
  }
}

extension Encapsulation {
  /// What `sluice-backend up` needs to take packets of the family; empty: it takes them by default.
  fileprivate func receiverOption(for inner: AddressFamily) -> String {
    switch kind {
    case .ipip, .l2: ""
    case .gre: " --encapsulation gre"
    case .gue, .fou: " --encapsulation \(kind.rawValue)" + (port(of: inner).map { ":\($0)" } ?? "")
    }
  }

  /// What a firewall on the way sees.
  fileprivate func carrier(of inner: AddressFamily) -> String {
    switch kind {
    case .ipip: "IP protocol \(inner == .v4 ? 4 : 41)"
    case .l2: "the packets"
    case .gre: "IP protocol 47"
    case .gue, .fou: "UDP" + (port(of: inner).map { " to port \($0)" } ?? "")
    }
  }

  private func port(of inner: AddressFamily) -> UInt16? { ports.map { inner == .v4 ? $0.v4 : $0.v6 } }
}
