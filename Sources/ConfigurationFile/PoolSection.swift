// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// - Parameter defaults: what of the check the pool need not say itself.
func readPool(key: Cursor, value: Cursor, defaults: CheckDraft?) -> PoolDraft {
  // A wrong name is still the name that services mean.
  let name = key.name(of: "pool") ?? key.text() ?? ""
  var draft = PoolDraft(name: Placed(name, at: key))
  let keys = ["hash", "table_size", "settle", "drain", "require", "encapsulation", "backends"] + healthKeys
  guard let fields = value.fields(of: "pool", keys) else { return draft }
  draft.hash = fields["hash"]?.word("hash", as: HashFields.self)
  draft.tableSize = fields["table_size"].flatMap(readTableSize)
  draft.settle = fields["settle"].flatMap(readSettle)
  fields["drain"].map { draft.drain = readDrain($0) }
  draft.require = fields["require"].flatMap(readRequire)
  fields["encapsulation"].map { draft.encapsulation = readEncapsulation($0) }
  draft.health = readHealth(fields, defaults: defaults)
  if let backends = fields["backends"] {
    let items = backends.items()
    draft.backends = items?.map(readBackend) ?? []
    draft.backendsAreKnown = items != nil
  }
  return draft
}

private let noPortOfBackends =
  "packets keep the port that clients use, because backends answer clients directly; services name the ports"

private func readBackend(_ cursor: Cursor) -> BackendDraft {
  var draft = BackendDraft(cursor: cursor)
  let keys = ["name", "address", "weight", "state"]
  guard let fields = cursor.fields(of: "backend", keys, reasons: ["port": noPortOfBackends]) else {
    return draft
  }
  draft.name = fields.required("name").flatMap { Placed($0.name(of: "backend"), $0) }
  draft.address = fields.required("address").flatMap { Placed($0.unicastAddress("address"), $0) }
  draft.weight = fields["weight"]?.integer("weight", in: 0...65_535)
  draft.state = fields["state"]?.word("state", as: AdministrativeState.self)
  return draft
}

/// The number of slots of a pool's forwarding table.
func readTableSize(_ cursor: Cursor) -> Placed<Int>? {
  let range = 251...1_048_573
  guard let size = cursor.integer("table_size", in: range) else { return nil }
  guard isPrime(size) else {
    cursor.error(
      .notPrime, "table_size \(size) is not a prime number", expected: ["a prime number"],
      suggestion: String(nearestPrime(to: size, in: range)))
    return nil
  }
  return Placed(size, cursor)
}

func readEncapsulation(_ cursor: Cursor) -> EncapsulationDraft {
  var draft = EncapsulationDraft()
  guard let fields = cursor.fields(of: "encapsulation", ["type", "source4", "source6"]) else { return draft }
  draft.kind = fields["type"]?.word("type", as: Encapsulation.Kind.self)
  draft.source4 = fields["source4"].flatMap { readSource($0, .v4) }
  draft.source6 = fields["source6"].flatMap { readSource($0, .v6) }
  return draft
}

private func readSource(_ cursor: Cursor, _ family: AddressFamily) -> Placed<OuterSource>? {
  guard let text = cursor.text() else { return nil }
  if text == "auto" { return Placed(.interface, cursor) }
  let lengths = 8...family.bitWidth
  let expected = ["auto", "an IPv\(family.rawValue) prefix from /8 to /\(family.bitWidth)"]
  guard let (address, length) = splitPrefix(text) else {
    cursor.error(
      .invalidPrefix, "source \"\(text)\" is not an address prefix", expected: expected,
      suggestion: nearestMatch(to: text, among: ["auto"]))
    return nil
  }
  guard address.family == family else {
    cursor.error(
      .wrongFamily,
      "source\(family.rawValue) takes an IPv\(family.rawValue) prefix, \(text) is another family",
      expected: expected, suggestion: "source\(address.family.rawValue)")
    return nil
  }
  guard lengths.contains(length) else {
    cursor.error(.invalidPrefix, "source \(text) has a prefix length out of range", expected: expected)
    return nil
  }
  guard let prefix = IPPrefix(address, length: length) else {
    cursor.error(
      .invalidPrefix, "source \(text) has bits set after its prefix", suggestion: masked(address, length))
    return nil
  }
  guard address.isUnicast else {
    cursor.error(.notUnicast, "source \(text) does not hold unicast addresses")
    return nil
  }
  return Placed(.prefix(prefix), cursor)
}

/// The two parts of `ADDRESS/LENGTH`; an address alone means all of its bits.
private func splitPrefix(_ text: String) -> (IPAddress, length: Int)? {
  let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
  guard let address = parts.first.flatMap({ IPAddress(String($0)) }) else { return nil }
  guard parts.count == 2 else { return (address, address.family.bitWidth) }
  guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
    let length = Int(parts[1])
  else { return nil }
  return (address, length)
}

private func masked(_ address: IPAddress, _ length: Int) -> String {
  let hostBits = UInt128(address.family.bitWidth - length)
  return "\(IPAddress(family: address.family, bits: (address.bits >> hostBits) << hostBits))/\(length)"
}
