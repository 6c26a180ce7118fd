// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// - Parameter defaults: `defaults.check`, from which the pool's check inherits.
func readPool(key: Cursor, value: Cursor, defaults: CheckDraft?) -> PoolDraft {
  // Services may refer to a name although it is not valid.
  let name = key.name(of: "pool") ?? key.text() ?? ""
  var draft = PoolDraft(name: Located(name, at: key))
  guard let fields = value.fields() else { return draft }
  if fields.has(otherThan: "backends") { draft.settings = readPoolSettings(fields, defaults: defaults) }
  if let backends = fields["backends"] {
    let items = backends.items()
    draft.backends = items?.values(readBackend) ?? []
    draft.backendsAreKnown = items.map { $0.count == draft.backends.count } ?? false
  }
  return draft
}

/// The keys that a pool and `defaults` have in common.
/// - Parameter defaults: `defaults.check`, from which the check inherits; nil where this is `defaults` itself.
func readPoolSettings(_ fields: Fields, defaults: CheckDraft?) -> PoolSettings {
  var settings = PoolSettings()
  settings.hash = fields["hash"]?.word(as: HashFields.self)
  settings.tableSize = fields["table_size"].flatMap(readTableSize)
  settings.settle = fields["settle"].flatMap(readSettle)
  fields["drain"].map { settings.drain = readDrain($0) }
  settings.require = fields["require"].flatMap(readRequire)
  fields["encapsulation"].map { settings.encapsulation = readEncapsulation($0) }
  settings.health = readHealth(fields, defaults: defaults)
  return settings
}

/// - Returns: nil where nothing of it could be read, so that a list of mistakes takes no memory.
private func readBackend(_ cursor: Cursor) -> BackendDraft? {
  var draft = BackendDraft(cursor: cursor)
  guard let fields = cursor.fields() else { return nil }
  draft.name = fields.required("name").flatMap { Located($0.name(), $0) }
  draft.address = fields.required("address").flatMap { Located($0.unicastAddress(), $0) }
  draft.weight = fields["weight"]?.integer()
  draft.state = fields["state"]?.word(as: AdministrativeState.self)
  return draft.name == nil && draft.address == nil ? nil : draft
}

/// The number of slots of a pool's forwarding table.
func readTableSize(_ cursor: Cursor) -> Located<Int>? {
  guard case .prime(let range) = cursor.key?.type, let size = cursor.integer() else { return nil }
  guard isPrime(size) else {
    cursor.error(
      .notPrime, "table_size \(size) is not a prime number", expected: ["a prime number"],
      suggestion: String(nearestPrime(to: size, in: range)))
    return nil
  }
  return Located(size, cursor)
}
