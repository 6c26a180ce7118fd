// SPDX-License-Identifier: Apache-2.0
internal import Dataplane
internal import LoadBalancing

/// Why a configuration is not put in force unless that is forced: connections would break.
struct ReloadRefusal: Equatable {
  /// Of the API's errors: `loses-flows` or `service-in-use`.
  var code: String
  var reasons: [String]

  var message: String {
    reasons.joined(separator: "; ") + "; take it back, or accept it: sluice config reload --force"
  }
}

extension Snapshot {
  /// Why a configuration is not to be put in force; nil where it may be.
  /// - Parameters:
  ///   - counted: what services were sent, read a moment ago and already part of ``history``.
  ///   - planned: the plan to the configuration, if none of its slots may forget flows.
  func refusal(
    of read: Configuration, counted: [ForwardedRun], planned: Result<PreparedPlan, PlanError>
  ) -> ReloadRefusal? {
    let losses = losses(in: read, planned)
    let removals = removals(in: read, counted)
    guard let code = !losses.isEmpty ? "loses-flows" : !removals.isEmpty ? "service-in-use" : nil else {
      return nil
    }
    return ReloadRefusal(code: code, reasons: losses + removals)
  }

  /// Changes under which slots would forget their flows.
  private func losses(in read: Configuration, _ planned: Result<PreparedPlan, PlanError>) -> [String] {
    var losses: [String] = []
    if case .failure(.losesFlows(let changes)) = planned { losses = changes.map(\.description) }
    if read.node.hashSeed != configuration.node.hashSeed, read.node.hashSeed != configuration.acceptedSeed {
      losses.append(
        "hash_seed: a restart would give every flow another slot, and connections would break; "
          + "the start will need `sluiced --force`, too")
    }
    return losses
  }

  /// Virtual services that would end although clients use them. A file that lost all of its services is never meant.
  private func removals(in read: Configuration, _ counted: [ForwardedRun]) -> [String] {
    let installed = forwarding.installed
    guard !installed.services.isEmpty else { return [] }
    if read.desired.services.isEmpty {
      let pools = read.desired.pools.isEmpty ? " and no pools" : ""
      return [
        "the file has no services\(pools): all \(installed.services.count) virtual services would end, "
          + "and their connections would hang"
      ]
    }
    let totals = Dictionary(
      counted.map { ($0.service, $0.counters.reduce(0) { $0 + $1.packets }) }, uniquingKeysWith: +)
    let wanted = Set(read.desired.services.map(\.key))
    let gone = installed.services.values.filter { service in
      // A service of any port serves what has no service of its own.
      var any = service.service.key
      any.port = 0
      return !wanted.contains(service.service.key) && !wanted.contains(any)
    }
    let used = gone.sorted { $0.service.key < $1.service.key }.compactMap { service in
      use(of: service.service, total: totals[service.service.key] ?? 0)
    }
    guard !used.isEmpty else { return [] }
    let more = used.count > 8 ? ["and \(used.count - 8) more"] : []
    return [
      "services would end that are in use, and their connections would hang: "
        + (used.prefix(8) + more).joined(separator: ", ")
    ]
  }

  /// A service with what it was sent lately; nil where it was sent nothing.
  private func use(of service: VirtualService, total: UInt64) -> String? {
    let name = "\(service.name) \(service.key)"
    switch history.traffic.use(of: service.key, total: total) {
    case .recent(let rate, let seconds):
      let packets = rate < 10 ? "\((rate * 10).rounded() / 10)" : "\(Int(rate.rounded()))"
      return "\(name) (about \(packets) packets/s over the last \(Int(seconds.rounded())) s)"
    case .unknown(let packets, let watched):
      return "\(name) (\(packets) packets in all; how lately is not known, "
        + "since sluiced was started \(Int(watched.rounded())) s ago)"
    case .none: return nil
    }
  }
}
