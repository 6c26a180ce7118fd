// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Dataplane
internal import LoadBalancing

/// What is known of an installed pool.
struct PoolFacts: Sendable {
  var pool: InstalledState.Pool
  /// Slots that changed and have not settled.
  var changedSlots = 0
  /// Backends that take new flows.
  var ready = 0
  /// As many as there should be of them.
  var required = 0
  var backends = 0
}

/// What the control API answers about pools and services.
extension Snapshot {
  /// Every pool that has a table, by name.
  var poolFacts: [PoolFacts] {
    let wanted = Dictionary(
      forwarding.desired.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return forwarding.installed.pools.values.sorted { $0.name < $1.name }.map { pool in
      let wanted = wanted[pool.name]
      return PoolFacts(
        pool: pool, changedSlots: forwarding.tables[pool.name]?.unsettled ?? 0, ready: wanted?.ready ?? 0,
        required: wanted?.required ?? 0, backends: wanted?.backends.count ?? 0)
    }
  }

  func pools() -> [PoolRow] {
    let identities = backendIdentities
    return poolFacts.map { facts in
      PoolRow(
        name: facts.pool.name, slots: facts.pool.slots.count, changedSlots: facts.changedSlots,
        tableDigest: Self.digest(of: facts.pool, identities), ready: facts.ready, required: facts.required,
        backends: facts.backends)
    }
  }

  /// For each backend's number a hash of its name and address; 0 where there is none.
  private var backendIdentities: [UInt64] {
    let installed = forwarding.installed
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
  private static func digest(of pool: InstalledState.Pool, _ identities: [UInt64]) -> String {
    let digest = pool.slots.reduce(UInt64(pool.slots.count)) {
      mix($0 &* 31 &+ identities[Int($1.current)])
    }
    let text = String(digest, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }

  func services(_ counters: CounterReading) -> [ServiceRow] {
    let forwarded = forwarded(counters)
    return forwarding.installed.services.values.sorted { $0.service.key < $1.service.key }.map { installed in
      let (service, key) = (installed.service, installed.service.key)
      let total = forwarded.total(of: key)
      return ServiceRow(
        name: service.name, vip: key.address.description, port: key.port == 0 ? nil : Int(key.port),
        protocol: key.transport.name, pool: service.pool, affinity: service.affinity.mode.rawValue,
        packets: total.packets, bytes: total.bytes)
    }
  }

  func services(named name: String, _ counters: CounterReading) throws(ControlError) -> [ServiceRow] {
    let rows = services(counters).filter { $0.name == name }
    guard !rows.isEmpty else {
      throw ControlError.notFound(
        "service", name, among: Array(Set(forwarding.installed.services.values.map(\.service.name))))
    }
    return rows
  }
}
