// SPDX-License-Identifier: Apache-2.0
internal import ConfigurationFile
internal import ControlAPI
internal import Dataplane
internal import Foundation
internal import LoadBalancing
internal import Netlink

/// What the control API tells.
extension Reconciler {
  func status() throws -> Status {
    Status(
      version: Version.current, node: configuration.node.name ?? ProcessInfo.processInfo.hostName,
      uptimeS: startedAt.elapsed.seconds, configuration: configurationStatus(),
      interface: interfaceStatus(),
      services: installed.services.count, pools: pools(),
      verdicts: try forwarder.verdicts().map {
        Status.Verdict(
          verdict: $0.name, class: $0.verdictClass.rawValue, packets: $0.count.packets, bytes: $0.count.bytes)
      },
      flowsUsed: try freshCensus().entries, flowsCapacity: configuration.node.limits.flows,
      alarms: alarms().map {
        Status.Alarm(
          code: $0.code, message: $0.message, object: $0.object, objects: $0.objects, cure: $0.cure,
          since: timestamp($0.since))
      },
      ready: isReady, awaited: health.awaited.sorted())
  }

  private func configurationStatus() -> Status.Configuration {
    Status.Configuration(
      file: configurationPath, generation: generation, loadedAt: timestamp(configurationLoadedAt.date),
      lastReloadOk: lastReload.isSuccessful, lastReloadAt: timestamp(lastReload.at.date),
      lastReloadError: lastReload.failure, restartRequired: restartRequired, overrides: overrides.count)
  }

  private func interfaceStatus() -> Status.Interface {
    let name = configuration.node.interface.name
    let attachment = isForwarding ? forwarder.attachment : nil
    return Status.Interface(
      name: name, renamedTo: interface.flatMap { $0.name == name ? nil : $0.name },
      index: interface.map { Int($0.index) }, mac: interface?.hardwareAddress.map { "\($0)" },
      mtu: interface.map { Int($0.mtu) }, mode: attachment?.mode.rawValue,
      modeReason: attachment?.reason ?? attachTrouble ?? detachedBy.map { "detached by \($0)" },
      fullSpeed: forwarder.isFullSpeed && attachment?.mode == .native)
  }

  func pools() -> [PoolRow] {
    let desired = desired
    let wanted = Dictionary(uniqueKeysWithValues: desired.pools.map { ($0.name, $0) })
    let identities = backendIdentities()
    return installed.pools.values.sorted { $0.name < $1.name }.map { pool in
      let wanted = wanted[pool.name]
      let backends = wanted?.backends ?? []
      return PoolRow(
        name: pool.name, slots: pool.slots.count, changedSlots: pool.slots.count { $0.state != .stable },
        tableDigest: digest(of: pool, identities), ready: backends.count(where: \.takesNewFlows),
        required: wanted?.required ?? 0, backends: backends.count
      )
    }
  }

  /// For each backend's number a hash of its name and address; 0 where there is none.
  private func backendIdentities() -> [UInt64] {
    var identities = [UInt64](repeating: 0, count: Int(installed.backends.keys.max() ?? 0) + 1)
    for backend in installed.backends.values {
      identities[Int(backend.number)] =
        "\(backend.name) \(backend.address)".utf8.reduce(14_695_981_039_346_656_037) {
          ($0 ^ UInt64($1)) &* 1_099_511_628_211
        }
    }
    return identities
  }

  /// Equal where each slot has a backend of equal address and name: numbers differ between balancers.
  private func digest(of pool: InstalledState.Pool, _ identities: [UInt64]) -> String {
    let digest = pool.slots.reduce(UInt64(pool.slots.count)) {
      mix($0 &* 31 &+ identities[Int($1.current)])
    }
    let text = String(digest, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }

  func services() throws -> [ServiceRow] { services(by: try forwardedRuns()) }

  func services(by runs: [ForwardedRun]) -> [ServiceRow] {
    let counters = Dictionary(
      uniqueKeysWithValues: runs.filter { !$0.isOfOlderFlows }.map { ($0.service, $0.counters) })
    return installed.services.values.sorted { $0.service.key < $1.service.key }.map { installed in
      let key = installed.service.key
      let total = (counters[key] ?? []).reduce(Counter(), +)
      return ServiceRow(
        name: installed.service.name, vip: key.address.description, port: key.port == 0 ? nil : Int(key.port),
        protocol: key.transport.name, pool: installed.service.pool,
        affinity: installed.service.affinity.mode.rawValue, packets: total.packets, bytes: total.bytes)
    }
  }

  func services(named name: String) throws -> [ServiceRow] {
    let rows = try services().filter { $0.name == name }
    guard !rows.isEmpty else {
      throw ControlError.notFound(
        "service", name, among: Array(Set(installed.services.values.map(\.service.name))))
    }
    return rows
  }

  func effectiveConfiguration() -> String {
    describe(Configuration(node: configuration.node, desired: desired))
  }

  private func describe(_ configuration: Configuration) -> String {
    ConfigurationFile.describe(configuration)
  }

  func timestamp(_ date: Date) -> String { date.formatted(.iso8601) }
}
