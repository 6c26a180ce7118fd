// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

// What a check asks, and which answers pass.

/// - Parameter isInherited: whether `defaults.check` is of the same type, so that nothing is required.
func readQuestion(_ fields: Fields, into draft: inout CheckDraft, isInherited: Bool) {
  switch draft.type?.probe {
  case .http, .https:
    readHTTP(fields, into: &draft)
    draft.isFullSize = fields["full_size"]?.truth()
  case .dns:
    readDNS(fields, into: &draft)
    if !isInherited { _ = fields.required("query") }
  case .udp:
    draft.payload = readOctets(fields, "send")
    draft.reply = readOctets(fields, "reply")
    if !isInherited, fields["send"] == nil, fields["send_hex"] == nil {
      fields.reportMissing(["send", "send_hex"])
    }
  case .icmp: draft.isFullSize = fields["full_size"]?.truth()
  case .tcp, nil: break
  }
}

private func readHTTP(_ fields: Fields, into draft: inout CheckDraft) {
  draft.method = fields.key("method").flatMap {
    Located(fields["method"]?.word(as: HTTPMethod.self), $0)
  }
  draft.path = fields["path"].flatMap(readRequestPath)
  draft.host = fields["host"].flatMap(readHost)
  draft.statuses = fields["expect"].flatMap(readStatuses)
  draft.body = fields.key("body").flatMap { Located(fields["body"]?.content(), $0) }
  if let method = draft.method, let body = draft.body, method.value == .head {
    body.cursor.reportBodyOfHead(because: (method.cursor, "HEAD is asked for"))
  }
  guard draft.type == .probe(.https) else { return }
  draft.tlsIsVerified = fields["tls_verify"]?.truth()
  draft.tlsAuthorities = fields["tls_ca"].flatMap { Located($0.absolutePath(), $0) }
}

/// What follows the method in a request. Anything that could end the line would be a header of the writer's own.
private func readRequestPath(_ cursor: Cursor) -> String? {
  guard let text = cursor.text() else { return nil }
  guard text.hasPrefix("/"), text.utf8.count <= 2048,
    text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
  else {
    let isRelative =
      !text.isEmpty && !text.hasPrefix("/") && text.utf8.allSatisfy { (0x24...0x7E).contains($0) }
    cursor.error(
      .invalidPath, "path \"\(text)\" cannot be asked for",
      expected: ["/… in printable ASCII without space and #, up to 2048 octets; other octets as %XX"],
      suggestion: isRelative ? "/\(text)" : nil)
    return nil
  }
  return text
}

/// A name or an address, with or without a port, as in the Host header (RFC 9110, 7.2).
private func readHost(_ cursor: Cursor) -> String? {
  guard let text = cursor.text() else { return nil }
  guard isHost(text) else {
    let isBareV6 = IPAddress(text)?.family == .v6
    cursor.error(
      .invalidHost, "host \"\(text)\" is neither a DNS name nor an address",
      expected: ["NAME", "NAME:PORT", "ADDRESS", "[IPv6 ADDRESS]:PORT"],
      suggestion: isBareV6 ? "[\(text)]" : nil)
    return nil
  }
  return text
}

private func isHost(_ text: String) -> Bool {
  if text.hasPrefix("[") {
    guard let end = text.firstIndex(of: "]") else { return false }
    let (address, rest) = (text[..<end].dropFirst(), text[end...].dropFirst())
    return IPAddress(String(address))?.family == .v6
      && (rest.isEmpty || rest.hasPrefix(":") && decimalPort(rest.dropFirst()) != nil)
  }
  let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
  guard let name = parts.first, parts.count == 1 || decimalPort(parts[1]) != nil else { return false }
  // What ends in a number is an address, or a mistake in one.
  let last = name.split(separator: ".").last ?? ""
  let isNumber = last.utf8.allSatisfy { (0x30...0x39).contains($0) }
  return isNumber ? IPAddress(String(name))?.family == .v4 : isDNSName(name)
}

/// Labels of letters, digits, `-` and `_` (RFC 1035, 2.3.1, and RFC 8552).
private func isDNSName(_ text: some StringProtocol) -> Bool {
  (1...253).contains(text.utf8.count)
    && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
        && label.utf8.allSatisfy { byte in
          (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
        }
    }
}

/// `200-299`, `304`, or a list of such.
private func readStatuses(_ cursor: Cursor) -> [ClosedRange<Int>]? {
  guard cursor.isList else { return readStatus(cursor).map { [$0] } }
  guard let items = cursor.items(), !items.isEmpty else {
    cursor.error(.emptyList, "the list is empty: no status would pass")
    return nil
  }
  let ranges = items.values(readStatus)
  return ranges.count == items.count ? ranges : nil
}

private func readStatus(_ cursor: Cursor) -> ClosedRange<Int>? {
  guard let text = cursor.text() else { return nil }
  let bounds = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { part in
    part.utf8.count == 3 && part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(part) : nil
  }
  guard let first = bounds[0], let last = bounds.count == 2 ? bounds[1] : first, (100...599).contains(first),
    last <= 599, first <= last
  else {
    cursor.error(
      .invalidValue, "\"\(text)\" is not a status of HTTP",
      expected: ["STATUS", "FIRST-LAST, from 100 to 599"])
    return nil
  }
  return first...last
}

private enum Carrier: String, CaseIterable {
  case udp
  case tcp
}

private func readDNS(_ fields: Fields, into draft: inout CheckDraft) {
  draft.query = fields["query"].flatMap(readQuery)
  draft.recordType = fields["qtype"]?.word(as: DNSQuestion.RecordType.self)
  draft.transport = fields["transport"]?.word(as: Carrier.self).map { $0 == .udp ? .udp : .tcp }
  draft.responseCode = fields["expect"]?.word(as: DNSQuestion.ResponseCode.self)
  guard let answer = fields["answer"], let text = answer.text() else { return }
  // Any address may stand in a zone.
  guard let address = IPAddress(text) else {
    answer.error(.invalidAddress, "answer \"\(text)\" is not an IPv4 or IPv6 address")
    return
  }
  draft.answer = Located(address, at: answer)
}

private func readQuery(_ cursor: Cursor) -> String? {
  guard let text = cursor.text() else { return nil }
  if text == "." { return text }
  let name = text.hasSuffix(".") ? String(text.dropLast()) : text
  guard isDNSName(name) else {
    cursor.error(
      .invalidHost, "query \"\(text)\" is not a DNS name",
      expected: ["labels of a-z 0-9 - _ between dots, up to 63 each and 253 in all", ". (the root)"])
    return nil
  }
  return name
}

/// Octets of a datagram: `KEY` as text or `KEY_hex` as hexadecimal digits.
private func readOctets(_ fields: Fields, _ key: String) -> [UInt8]? {
  guard let hex = fields["\(key)_hex"] else {
    return fields[key]?.content().map { Array($0.utf8) }
  }
  if let text = fields.key(key) {
    fields.key("\(key)_hex")?.error(
      .conflictingKeys, "\"\(key)\" and \"\(key)_hex\" exclude each other",
      related: (text, "\"\(key)\" is given"))
  }
  guard case .octets(let counts) = hex.key?.type, let digits = hex.text() else { return nil }
  let values = digits.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
  guard values.count == digits.utf8.count, values.count % 2 == 0, counts.contains(values.count / 2)
  else {
    hex.error(
      .invalidHex, "\(key)_hex is not a row of octets",
      expected: ["pairs of hexadecimal digits, 1 to \(counts.upperBound) of them"])
    return nil
  }
  return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
}

extension Cursor {
  /// - Parameter other: the one of `method` and `body` that this is not.
  func reportBodyOfHead(because other: (Cursor, String)) {
    error(
      .conflictingKeys, "the answer to a HEAD request has no body", suggestion: "method: GET", related: other)
  }

  fileprivate func truth() -> Bool? { word(as: Truth.self).map { $0 == .yes } }

  /// Text that is not empty.
  fileprivate func content() -> String? {
    guard case .text(let lengths) = key?.type, let text = text() else { return nil }
    guard lengths.contains(text.utf8.count) else {
      error(
        .outOfRange, "\(key?.name ?? "") has \(text.utf8.count) octets",
        expected: ["1 to \(lengths.upperBound) octets of UTF-8"])
      return nil
    }
    return text
  }
}
