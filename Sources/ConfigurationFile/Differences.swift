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
/// What is compared is what ``describe(_:)`` writes. A key that it did not write would be lost on the way through
/// `config show`, too. Pools, services and backends that only one configuration has are not here.
public func differences(from old: Configuration, to new: Configuration) -> [KeyDifference] {
  nodeDifferences(old.node, new.node)
    + compare("", values([describe(old.desired.packets)]), values([describe(new.desired.packets)]))
    + poolDifferences(old.desired, new.desired) + serviceDifferences(old.desired, new.desired)
}

private func nodeDifferences(_ old: NodeSettings, _ new: NodeSettings) -> [KeyDifference] {
  guard old != new else { return [] }
  var found = compare("", values(describe(old)), values(describe(new)), needsRestart: true)
  // `config show` masks it.
  if old.hashSeed != new.hashSeed {
    found.append(
      KeyDifference(
        object: "", key: "hash_seed", old: "(a secret)", new: "(another secret)", needsRestart: true))
  }
  return found
}

private func poolDifferences(_ old: DesiredState, _ new: DesiredState) -> [KeyDifference] {
  let before = Dictionary(old.pools.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  return new.pools.flatMap { pool -> [KeyDifference] in
    guard let was = before[pool.name], was != pool else { return [] }
    let found = compare("pool \(pool.name)", values(ofPool: was), values(ofPool: pool))
    // Of a check that was removed, only its type is reported.
    let isUnchecked = pool.health.check == nil
    return found.filter { !isUnchecked || !$0.key.hasPrefix("check.") || $0.key == "check.type" }
      + backendDifferences(was, pool)
  }
}

private func backendDifferences(_ old: Pool, _ new: Pool) -> [KeyDifference] {
  let before = Dictionary(old.backends.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  return new.backends.flatMap { backend -> [KeyDifference] in
    guard let was = before[backend.name], was != backend else { return [] }
    return compare(
      "backend \(new.name)/\(backend.name)", values([describe(was)]), values([describe(backend)]))
  }
}

private func serviceDifferences(_ old: DesiredState, _ new: DesiredState) -> [KeyDifference] {
  let before = Dictionary(
    servicesByName(old).map { ($0.name, $0.virtual) }, uniquingKeysWith: { first, _ in first })
  return servicesByName(new).flatMap { name, virtual -> [KeyDifference] in
    guard let was = before[name], was != virtual else { return [] }
    return compare("service \(name)", values(ofService: name, was), values(ofService: name, virtual))
  }
}

private typealias Values = [(key: String, value: String)]

private func compare(_ object: String, _ old: Values, _ new: Values, needsRestart: Bool = false)
  -> [KeyDifference]
{
  let before = Dictionary(old, uniquingKeysWith: { first, _ in first })
  let after = Dictionary(new, uniquingKeysWith: { first, _ in first })
  // Those that are gone come last.
  let keys = new.map(\.key) + old.map(\.key).filter { after[$0] == nil }
  return keys.filter { before[$0] != after[$0] }.map {
    KeyDifference(object: object, key: $0, old: before[$0], new: after[$0], needsRestart: needsRestart)
  }
}

/// Of a pool without its backends.
private func values(ofPool pool: Pool) -> Values {
  var settings = pool
  settings.backends = []
  return values(["pools:"] + describe(settings, isWhole: true)).compactMap { key, value in
    let prefix = "pools.\(pool.name)."
    guard key.hasPrefix(prefix), key != prefix + "backends" else { return nil }
    return (String(key.dropFirst(prefix.count)), value)
  }
}

/// The order of VIPs and ports means nothing.
private func values(ofService name: String, _ virtual: [VirtualService]) -> Values {
  let sorted = virtual.sorted {
    ($0.key.address, $0.key.transport, $0.key.port) < ($1.key.address, $1.key.transport, $1.key.port)
  }
  return values(["services:"] + describe(service: name, sorted)).map { key, value in
    (String(key.dropFirst("services[0].".count)), value)
  }
}

/// The keys and single values that lines of YAML hold.
private func values(_ lines: [String]) -> Values {
  let source = SourceText(SourceFile(path: "", text: lines.joined(separator: "\n") + "\n"))
  guard let document = readDocument(source, file: 0, findings: Findings([source])) else { return [] }
  var found: Values = []
  collect(document, at: "", into: &found)
  return found
}

private func collect(_ node: DocumentNode, at path: String, into found: inout Values) {
  switch node.content {
  case .scalar(let text, _): found.append((path, text))
  case .mapping(let entries):
    for entry in entries {
      collect(entry.value, at: path.isEmpty ? entry.key : "\(path).\(entry.key)", into: &found)
    }
  case .sequence(let items):
    let texts = items.compactMap { item in
      if case .scalar(let text, _) = item.content { text } else { nil }
    }
    if texts.count == items.count {
      found.append((path, "[\(texts.joined(separator: ", "))]"))
    } else {
      for (index, item) in items.enumerated() { collect(item, at: "\(path)[\(index)]", into: &found) }
    }
  case .reported: break
  }
}
