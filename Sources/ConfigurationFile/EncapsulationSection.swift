// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// `encapsulation` of a pool, or of `defaults`. Whether the type has the other keys, ``Draft/checkEncapsulations()`` says.
func readEncapsulation(_ cursor: Cursor) -> EncapsulationDraft {
  var draft = EncapsulationDraft()
  guard let fields = cursor.fields() else { return draft }
  if let type = fields["type"] {
    draft.kind = type.word(as: Encapsulation.Kind.self)
    draft.kindIsKnown = draft.kind != nil
    draft.kindCursor = type
  }
  func number(_ name: String) -> Located<Int>? {
    fields[name].flatMap { Located($0.integer(), fields.key(name) ?? $0) }
  }
  draft.variant = number("variant")
  draft.port = number("port")
  draft.port6 = number("port6")
  draft.source4 = fields["source4"].flatMap(readSource)
  draft.source6 = fields["source6"].flatMap(readSource)
  return draft
}

extension EncapsulationDraft {
  /// The encapsulation of a pool with what it inherits from `defaults.encapsulation`: the sources always, what belongs to
  /// a type only by a pool of the same type.
  func completed(from common: EncapsulationDraft) -> Encapsulation {
    let kind = kind ?? common.kind ?? .standard
    let inherited = kind == common.kind ? common : EncapsulationDraft()
    return Encapsulation(
      kind: kind,
      variant: (variant ?? inherited.variant).flatMap { Encapsulation.Variant(rawValue: $0.value) },
      port: (port ?? inherited.port).map { UInt16($0.value) },
      port6: (port6 ?? inherited.port6).map { UInt16($0.value) },
      source4: (source4 ?? common.source4)?.value.prefix, source6: (source6 ?? common.source6)?.value.prefix)
  }

  /// Reports keys that an encapsulation of this type does not have.
  fileprivate func checkKeys(of kind: Encapsulation.Kind) {
    let tunnels = Encapsulation.Kind.allCases.filter { Encapsulation(kind: $0).isTunnel }
    let typed: [(key: String, cursor: Cursor?, types: [Encapsulation.Kind])] = [
      ("variant", variant?.cursor, [.gue]), ("port", port?.cursor, [.gue, .fou]),
      ("port6", port6?.cursor, [.fou]), ("source4", source4?.cursor, tunnels),
      ("source6", source6?.cursor, tunnels),
    ]
    let own = ["type"] + typed.filter { $0.types.contains(kind) }.map(\.key)
    for (key, cursor, types) in typed where !types.contains(kind) {
      cursor?.error(
        .keyOfOtherType,
        "\"\(key)\" is a key of encapsulations of type \(types.map(\.rawValue).joined(separator: ", ")), "
          + "not of type \(kind.rawValue)", expected: own)
    }
  }
}

extension Draft {
  func checkEncapsulations() {
    let common = defaults.encapsulation
    for draft in [common] + pools.map(\.encapsulation) where draft.kind == .l2 { checkNextHop(draft) }
    guard common.kindIsKnown else { return }
    common.checkKeys(of: common.kind ?? .standard)
    for pool in pools where !pool.isFlawless && pool.encapsulation.kindIsKnown {
      pool.encapsulation.checkKeys(of: pool.encapsulation.kind ?? common.kind ?? .standard)
    }
  }
}

extension Draft {
  /// A next hop for all packets leads to one host.
  private func checkNextHop(_ encapsulation: EncapsulationDraft) {
    guard let interface = node.interface, interface.nextHop != .kernel else { return }
    encapsulation.kindCursor?.error(
      .conflictingKeys,
      "encapsulation l2 sends packets to the link-layer address of each backend, but interfaces[0].next_hop names one "
        + "next hop for all", expected: ["next_hop: auto", "another encapsulation"])
  }
}

private func readSource(_ cursor: Cursor) -> Located<OuterSource>? {
  guard case .prefix(let family) = cursor.key?.type, let text = cursor.text() else { return nil }
  if text == "auto" { return Located(.interface, cursor) }
  let lengths = 8...family.bitWidth
  let expected = ["auto", "an IPv\(family.rawValue) prefix from /8 to /\(family.bitWidth)"]
  guard let (address, length) = splitPrefix(text) else {
    cursor.error(
      .invalidPrefix, "source \"\(text)\" is not an address prefix", expected: expected,
      suggestion: cursor.findings.nearest(to: text, among: ["auto"]))
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
  return Located(.prefix(prefix), cursor)
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
