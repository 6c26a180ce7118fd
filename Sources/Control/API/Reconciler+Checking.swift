// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import LoadBalancing
internal import Probing

/// What the control API tells of health checks.
extension Reconciler {
  func checkRows(of backend: String?, in pool: String?) throws -> [CheckRow] {
    if let pool, desired.pool(named: pool) == nil, !presentPools.contains(pool) {
      throw ControlError.notFound("pool", pool, among: desired.pools.map(\.name))
    }
    if let backend, let pool { _ = try self.backend(backend, in: pool) }
    return (checks?.rows() ?? []).filter { $0.pool == pool ?? $0.pool && $0.backend == backend ?? $0.backend }
  }

  /// Probes a backend now, and finds out which layer fails if it does. The outcome counts for nothing else.
  /// - Parameter target: the VIP to probe; nil: the worst.
  func examine(_ name: String, in pool: String, target: String?) async throws -> CheckReport {
    let key = checkKey(of: try installedBackend(name, in: pool))
    let address = try target.map { text in
      guard let address = IPAddress(text) else {
        throw ControlError.invalid("target \"\(text)\" is not an address")
      }
      return address
    }
    guard let checks, let job = checks.job(of: key, at: address) else {
      throw ControlError.refused(
        "not-checked",
        key.leaving == nil
          ? "backend \(key) is not checked: pool \(pool) has no check, or no service uses it"
          : "backend \(key) is leaving and is not checked: its pool has no check, or was removed before the daemon started"
      )
    }
    if let address, job.destination != address {
      let targets = try checkRows(of: name, in: pool).map(\.target)
      throw ControlError.notFound("target", "\(address)", among: targets)
    }
    var report = CheckReport(
      pool: pool, backend: name, target: "\(job.destination)", port: job.port == 0 ? nil : Int(job.port),
      type: job.check.kind.name, via: job.check.way.rawValue, passed: false, steps: [], conclusion: "")
    guard let probe = prepare(job, &report) else { return report }
    let diagnosis = Diagnosis(
      of: probe, to: job.address, outerSources: outerSources(job), by: checks.prober)
    let outcome = await diagnosis.run()
    report.steps += outcome.findings.map {
      CheckReport.Step(
        result: $0.result.rawValue, step: $0.step, detail: $0.detail,
        ms: ($0.after.seconds * 1e6).rounded() / 1000)
    }
    conclude(&report, outcome.failure, job)
    return report
  }

  /// The probe, with what is known of its way before it is sent; nil where it cannot be.
  private func prepare(_ job: HealthBoard.Job, _ report: inout CheckReport) -> Probe? {
    guard job.check.way == .tunnel else { return Probe(job, through: nil, interfaceIndex: nil) }
    func fail(_ layer: ProbeLayer, _ step: String, _ reason: String) -> Probe? {
      report.steps.append(.init(result: "failed", step: step, detail: reason))
      conclude(&report, ProbeOutcome.Failure(layer, reason), job)
      return nil
    }
    let name = interface?.name ?? configuration.node.interface.name
    guard let index = interface?.index, interfaceTrouble == nil else {
      return fail(.local, "steering", interfaceTrouble ?? "interface \(name) is gone")
    }
    guard let installed = installed.backends.values.first(where: { checkKey(of: $0) == job.target.backend })
    else {
      return fail(.local, "steering", "backend \(job.target.backend) is not installed: see `sluice status`")
    }
    report.steps.append(
      .init(
        result: "ok", step: "steering",
        detail: "packets of the probe leave \(name) for backend number \(installed.number)"))
    let way = ways[installed.address]
    guard let way, let mac = way.state.mac else {
      return fail(.route, "route", "\(installed.address): \(way?.trouble ?? "no next hop is known")")
    }
    let via = way.via.map { "via \($0), " } ?? ""
    let hop = mac.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: ":")
    report.steps.append(.init(result: "ok", step: "route", detail: "\(installed.address) \(via)\(hop)"))
    let header = installed.address.family.headerLength
    let inner = way.state.mtu - header
    report.steps.append(
      .init(
        result: "ok", step: "encapsulation",
        detail:
          "\(installed.encapsulation.kind.rawValue), \(inner) of \(way.state.mtu) octets are left inside"))
    return Probe(job, through: self.way(of: installed).tunnel(to: job.destination), interfaceIndex: index)
  }

  /// What the outer sources of clients' packets to a backend are taken from; nil: they have this host's own address.
  private func outerSources(_ job: HealthBoard.Job) -> IPPrefix? {
    let backend = installed.backend(named: job.target.backend.backend, in: job.target.backend.pool)
    return backend?.encapsulation.source(job.address.family)
  }

  private func conclude(_ report: inout CheckReport, _ failure: ProbeOutcome.Failure?, _ job: HealthBoard.Job)
  {
    report.passed = failure == nil
    report.layer = failure?.layer.rawValue
    report.conclusion = failure?.reason ?? "the backend answers as clients need it"
    report.cure = failure.map { cure(for: $0.layer, job) }
  }

  private func cure(for layer: ProbeLayer, _ job: HealthBoard.Job) -> String {
    let host = job.destination.family == .v6 ? "[\(job.destination)]" : "\(job.destination)"
    return switch layer {
    case .local: "here: sluice status; ip -brief address; ip route; nft list ruleset; the daemon's log"
    case .route:
      "here: ip route get \(job.address); ping \(job.address); ip neigh show dev "
        + (interface?.name ?? configuration.node.interface.name)
    case .tunnel:
      "on the backend: sluice-backend up --vip \(job.destination)"
        + (outerSources(job).map { " --allow \($0)" } ?? "")
        + ", with all that it has already; a firewall there must "
        + "let IP protocol " + (job.destination.family == .v4 ? "4" : "41") + " pass"
    case .vip:
      "on the backend: sluice-backend up --vip \(job.destination), or: ip address add \(job.destination)/"
        + "\(job.destination.family.bitWidth) dev lo"
    case .mtu:
      "give the way the MTU of this interface, or tell the balancer: ip route change \(job.address) … mtu OCTETS"
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
