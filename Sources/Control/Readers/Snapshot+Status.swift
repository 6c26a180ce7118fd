// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing

/// What the control API answers about the daemon as a whole.
extension Snapshot {
  func status(_ verdicts: [VerdictCount], at now: Moment) -> Status {
    Status(
      version: process.version, node: nodeName, uptimeS: process.startedAt.elapsed(at: now).seconds,
      configuration: configurationStatus(at: now), interface: interfaceStatus,
      services: forwarding.installed.services.count, pools: pools(),
      verdicts: verdicts.map {
        Status.Verdict(
          verdict: $0.name, class: $0.verdictClass.rawValue, packets: $0.count.packets,
          bytes: $0.count.bytes)
      },
      flowsUsed: flows.census?.found.entries ?? 0, flowsCapacity: configuration.node.limits.flows,
      alarms: alarms.current.map {
        Status.Alarm(
          code: $0.code.rawValue, message: $0.message, object: $0.object, objects: $0.objects,
          cure: $0.cure, since: ($0.since ?? now).date(at: now).formatted(.iso8601))
      },
      ready: isReady, awaited: awaitedPools.sorted())
  }

  /// Pools without first verdicts, also those whose verdicts no plan has put in force yet.
  var awaitedPools: Set<String> {
    health.decision.awaited.union(forwarding.fulfilled?.awaited ?? [])
  }

  var nodeName: String { configuration.node.name ?? process.hostName }

  private func configurationStatus(at now: Moment) -> Status.Configuration {
    let reload = configuration.lastReload
    return Status.Configuration(
      file: process.configurationPath, generation: configuration.generation,
      loadedAt: configuration.loadedAt.date(at: now).formatted(.iso8601), lastReloadOk: reload.isSuccessful,
      lastReloadAt: reload.at.date(at: now).formatted(.iso8601), lastReloadError: reload.failure,
      restartRequired: configuration.restartRequired, overrides: overrides.inForce.count)
  }

  private var interfaceStatus: Status.Interface {
    let (name, link) = (uplinks.configuredName, uplinks.interface)
    let attachment = uplinks.isForwarding ? uplinks.attachment : nil
    return Status.Interface(
      name: name, renamedTo: link.flatMap { $0.name == name ? nil : $0.name },
      index: link.map { Int($0.index) }, mac: link?.hardwareAddress.map { "\($0)" },
      mtu: link.map { Int($0.mtu) }, mode: attachment?.mode.rawValue,
      modeReason: attachment?.reason ?? uplinks.attachTrouble
        ?? uplinks.detachedBy.map { "detached by \($0)" },
      fullSpeed: process.isFullSpeed && attachment?.mode == .native)
  }

  /// The configuration with the overrides in force, as YAML; secrets masked.
  func effectiveConfiguration() -> String {
    describe(Configuration(node: configuration.node, desired: forwarding.desired))
  }

  /// The overrides in force, a line each.
  var drift: [String] {
    overrides.inForce.map {
      let why = $0.provenance.reason.map { ": \($0)" } ?? ""
      return
        "\($0.pool)/\($0.backend): \($0.changes.joined(separator: ", ")) (by \($0.provenance.by)\(why))"
    }
  }
}
