// SPDX-License-Identifier: Apache-2.0
public import LoadBalancing

/// A key that has another value in one configuration than in another.
public struct KeyDifference: Hashable, Sendable {
  /// What the key belongs to: `pool web`, `backend web/b1`, `service www`; empty for the settings of the node.
  public var object: String
  /// As a file spells it, from the object on: `check.interval`, `limits.flows`.
  public var key: String
  /// The effective values, as `config show` shows them; nil where a configuration does not have the key.
  public var old: String?
  public var new: String?
  /// Whether the new value is in force only after a restart of the daemon.
  public var needsRestart: Bool

  /// `pool web settle 2h -> 1h`
  public var text: String {
    let values = "\(key) \(old ?? "not set") -> \(new ?? "not set")"
    return object.isEmpty ? values : "\(object) \(values)"
  }
}

/// Every key in which two configurations differ, in the order of `config show`.
///
/// Compares what ``describe(_:)`` writes, so that a key cannot be in one of them and not in the other.
/// Pools, services and backends that only one of the configurations has are left out. Takes time in proportion to what
/// differs, and to the number of objects.
public func differences(from old: Configuration, to new: Configuration) -> [KeyDifference] {
  nodeDifferences(old.node, new.node)
    + compare(
      "", packetSettings(old.desired.packets).leaves(below: "packets"),
      packetSettings(new.desired.packets).leaves(below: "packets"))
    + poolDifferences(old.desired, new.desired) + serviceDifferences(old.desired, new.desired)
}

private func nodeDifferences(_ old: NodeSettings, _ new: NodeSettings) -> [KeyDifference] {
  old == new ? [] : compare("", nodeSettings(old).leaves(), nodeSettings(new).leaves())
}

private func poolDifferences(_ old: DesiredState, _ new: DesiredState) -> [KeyDifference] {
  let before = Dictionary(old.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  return new.pools.flatMap { pool -> [KeyDifference] in
    guard let was = before[pool.name], was != pool else { return [] }
    let found = compare("pool \(pool.name)", leaves(of: was), leaves(of: pool))
    // Of a check that was removed, only its type is reported.
    let isUnchecked = pool.health.check == nil
    return found.filter { !isUnchecked || !$0.key.hasPrefix("check.") || $0.key == "check.type" }
      + backendDifferences(was, pool)
  }
}

/// Of a pool without its backends.
private func leaves(of pool: Pool) -> [Leaf] {
  var settings = pool
  settings.backends = []
  return poolSettings(settings, isWhole: true).leaves().filter { $0.key != "backends" }
}

private func backendDifferences(_ old: Pool, _ new: Pool) -> [KeyDifference] {
  let before = Dictionary(old.backends.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  return new.backends.flatMap { backend -> [KeyDifference] in
    guard let was = before[backend.name], was != backend else { return [] }
    return compare(
      "backend \(new.name)/\(backend.name)", backendSettings(was).leaves(), backendSettings(backend).leaves())
  }
}

private func serviceDifferences(_ old: DesiredState, _ new: DesiredState) -> [KeyDifference] {
  let before = Dictionary(
    servicesByName(old).map { ($0.name, $0.virtual) }, uniquingKeysWith: { first, _ in first })
  return servicesByName(new).flatMap { name, virtual -> [KeyDifference] in
    guard let was = before[name], was != virtual else { return [] }
    return compare(
      "service \(name)", serviceSettings(name, sorted(was)).leaves(),
      serviceSettings(name, sorted(virtual)).leaves())
  }
}

/// The order of VIPs and ports means nothing.
private func sorted(_ virtual: [VirtualService]) -> [VirtualService] {
  virtual.sorted {
    ($0.key.address, $0.key.transport, $0.key.port) < ($1.key.address, $1.key.transport, $1.key.port)
  }
}

private typealias Leaf = (key: String, value: Setting)

private func compare(_ object: String, _ old: [Leaf], _ new: [Leaf]) -> [KeyDifference] {
  let before = Dictionary(old.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  let after = Dictionary(new.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  // Those that are gone come last.
  let keys = new.map(\.key) + old.map(\.key).filter { after[$0] == nil }
  return keys.filter { before[$0]?.bare != after[$0]?.bare }.map { key in
    KeyDifference(
      object: object, key: key, old: before[key].map { shown($0, "a secret") },
      new: after[key].map { shown($0, "another secret") },
      needsRestart: object.isEmpty && KeyTable.needsRestart(key))
  }
}

private func shown(_ value: Setting, _ stand: String) -> String {
  if case .secret = value { return "(\(stand))" }
  return value.bare
}
