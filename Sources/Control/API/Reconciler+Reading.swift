internal import ConfigurationFile
// SPDX-License-Identifier: Apache-2.0
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
      uptimeS: Date().timeIntervalSince(startedAt), configuration: configurationStatus(),
      interface: interfaceStatus(),
      services: installed.services.count, pools: pools(),
      verdicts: try forwarder.verdicts().map {
        Status.Verdict(
          verdict: $0.name, class: $0.verdictClass.rawValue, packets: $0.count.packets, bytes: $0.count.bytes)
      },
      flowsUsed: try freshCensus().entries, flowsCapacity: configuration.node.limits.flows,
      alarms: alarms().map {
        Status.Alarm(
          code: $0.code, message: $0.message, object: $0.object, cure: $0.cure, since: timestamp($0.since))
      })
  }

  private func configurationStatus() -> Status.Configuration {
    Status.Configuration(
      file: configurationPath, generation: generation, loadedAt: timestamp(configurationLoadedAt),
      lastReloadOk: lastReload.isSuccessful, lastReloadAt: timestamp(lastReload.at),
      lastReloadError: lastReload.failure, restartRequired: restartRequired, overrides: overrides.count)
  }

  private func interfaceStatus() -> Status.Interface {
    let name = configuration.node.interface.name
    let attachment = isForwarding ? forwarder.attachment : nil
    return Status.Interface(
      name: name, renamedTo: interface.flatMap { $0.name == name ? nil : $0.name },
      index: interface.map { Int($0.index) }, mac: interface?.hardwareAddress.map { "\($0)" },
      mtu: interface.map { Int($0.mtu) }, mode: attachment?.mode.rawValue, modeReason: attachment?.reason,
      fullSpeed: forwarder.isFullSpeed)
  }

  func pools() -> [PoolRow] {
    installed.pools.values.sorted { $0.name < $1.name }.map { pool in
      let wanted = desired.pool(named: pool.name)
      let backends = wanted?.backends ?? []
      return PoolRow(
        name: pool.name, slots: pool.slots.count, changedSlots: pool.slots.count { $0.state != .stable },
        tableDigest: digest(of: pool), ready: backends.count(where: \.takesNewFlows),
        required: wanted?.required ?? 0, backends: backends.count
      )
    }
  }

  /// Equal where each slot has a backend of equal address and name: numbers differ between balancers.
  private func digest(of pool: InstalledState.Pool) -> String {
    var hashes: [BackendNumber: UInt64] = [:]
    for backend in installed.backends(of: pool.name) {
      hashes[backend.number] = "\(backend.name) \(backend.address)".utf8.reduce(14_695_981_039_346_656_037) {
        ($0 ^ UInt64($1)) &* 1_099_511_628_211
      }
    }
    let digest = pool.slots.reduce(UInt64(pool.slots.count)) { mix($0 &* 31 &+ (hashes[$1.current] ?? 0)) }
    let text = String(digest, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }

  func services() throws -> [ServiceRow] {
    try installed.services.values.sorted { $0.service.key < $1.service.key }.map { installed in
      let key = installed.service.key
      let total = try forwarder.forwarded(installed).reduce(Counter(), +)
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

  func backends() throws -> [BackendRow] {
    try installed.pools.keys.sorted().flatMap { try backends(of: $0) }
  }

  func backends(of pool: String) throws -> [BackendRow] {
    guard installed.pools[pool] != nil else {
      throw ControlError.notFound("pool", pool, among: Array(installed.pools.keys))
    }
    let counts = installed.slotCounts(of: pool)
    let slots = max(installed.pools[pool]?.slots.count ?? 1, 1)
    var counters = try installed.services.values.filter { $0.service.pool == pool }.map {
      try forwarder.forwarded($0)
    }
    // Older flows of services that went to another pool.
    counters += try installed.services.values.compactMap(\.move).filter { $0.pool == pool }.map {
      try forwarder.forwarded($0)
    }
    let healths = checks?.healths() ?? [:]
    return installed.backends(of: pool).sorted { ($0.name, $0.number) < ($1.name, $1.number) }.map {
      backend in
      let total = counters.reduce(Counter()) {
        $0 + ($1.indices.contains(backend.pair) ? $1[backend.pair] : Counter())
      }
      return row(backend, share: Double(counts[backend.number] ?? 0) / Double(slots), total, healths)
    }
  }

  private func row(
    _ backend: InstalledState.Backend, share: Double, _ total: Counter,
    _ healths: [BackendKey: (state: HealthState, reason: String?)]
  ) -> BackendRow {
    let wanted = backend.isLeaving ? nil : desired.pool(named: backend.pool)?.backend(named: backend.name)
    let way = ways[backend.address]
    let progress = progress(of: backend)
    let health = backend.isLeaving ? nil : healths[BackendKey(pool: backend.pool, backend: backend.name)]
    let override = overrides.first { $0.pool == backend.pool && $0.backend == backend.name }
    return BackendRow(
      pool: backend.pool, name: backend.name, address: backend.address.description,
      weight: wanted?.weight ?? 0,
      state: wanted?.state.rawValue ?? "leaving", health: (health?.state ?? .unchecked).rawValue,
      reason: health?.reason, share: share, flows: progress.flows,
      lastNewS: progress.lastNew, drained: progress.isOver(quiet: drain(of: backend.pool).quiet),
      packets: total.packets, bytes: total.bytes, via: way?.via?.description,
      mac: way?.state.mac.flatMap { HardwareAddress(octets: $0) }.map { "\($0)" }, mtu: way?.state.mtu,
      trouble: way?.trouble, override: override.map(describe))
  }

  private func describe(_ override: BackendOverride) -> BackendRow.Override {
    BackendRow.Override(
      changes: override.changes, by: override.provenance.by,
      at: timestamp(Date(timeIntervalSince1970: override.provenance.at)), reason: override.provenance.reason)
  }

  func backend(_ name: String, in pool: String) throws -> BackendRow {
    let rows = try backends(of: pool)
    guard let row = rows.first(where: { $0.name == name }) else {
      throw ControlError.notFound("backend", name, among: rows.map(\.name))
    }
    return row
  }

  func effectiveConfiguration() -> String {
    describe(Configuration(node: configuration.node, desired: desired))
  }

  private func describe(_ configuration: Configuration) -> String {
    ConfigurationFile.describe(configuration)
  }

  func timestamp(_ date: Date) -> String { date.formatted(.iso8601) }
}

extension BackendOverride {
  /// What it changes: `added`, `removed`, `state=drain`, `weight=50`.
  var changes: [String] {
    var changes: [String] = []
    switch presence {
    case .asConfigured: break
    case .added(let address): changes.append("added \(address)")
    case .removed: changes.append("removed")
    }
    if let state { changes.append("state=\(state.rawValue)") }
    if let weight { changes.append("weight=\(weight)") }
    return changes
  }
}
