// SPDX-License-Identifier: Apache-2.0
import LoadBalancing

/// The limits by their keys.
let limitsByKey: [(key: String, any WritableKeyPath<NodeSettings.Limits, Int> & Sendable)] = [
  ("services", \.services), ("pools", \.pools), ("backends", \.backends), ("slots", \.slots),
  ("flows", \.flows), ("pairs", \.pairs),
]

/// Upper bounds of the kernel's tables.
func readLimits(_ cursor: Cursor) -> LimitsDraft {
  var draft = LimitsDraft()
  guard let fields = cursor.fields() else { return draft }
  for (key, value) in limitsByKey {
    guard let field = fields[key], let number = field.integer() else { continue }
    draft.values[keyPath: value] = number
    draft.locations[key] = field
  }
  return draft
}

func readControl(_ cursor: Cursor, into draft: inout NodeDraft) {
  guard let fields = cursor.fields() else { return }
  draft.controlSocket = fields["socket"].flatMap(readSocket)
  draft.controlGroup = fields["group"].flatMap(readGroup)
}

func readStatus(_ cursor: Cursor, into draft: inout NodeDraft) {
  guard let fields = cursor.fields() else { return }
  draft.statusSocket = fields["socket"].flatMap(readSocket)
  draft.statusGroup = fields["group"].flatMap(readGroup)
  draft.statusListen = fields["listen"].flatMap(readListen)
}

func readPaths(_ cursor: Cursor, into draft: inout NodeDraft) {
  guard let fields = cursor.fields() else { return }
  draft.stateDirectory = fields["state"]?.absolutePath()
  guard let pins = fields["pins"], let path = pins.absolutePath() else { return }
  guard path.hasPrefix("/sys/fs/bpf/") else {
    pins.error(
      .invalidPath, "pin directory \"\(path)\" is not on the BPF file system",
      expected: ["a directory below /sys/fs/bpf"])
    return
  }
  draft.pinDirectory = path
}

private func readSocket(_ cursor: Cursor) -> Located<String>? {
  guard case .socket(let maximum) = cursor.key?.type, let path = cursor.absolutePath() else { return nil }
  guard path.utf8.count <= maximum else {
    cursor.error(
      .invalidPath,
      "the path of a socket cannot be longer than \(maximum) bytes; this has \(path.utf8.count)")
    return nil
  }
  return Located(path, cursor)
}

private func readGroup(_ cursor: Cursor) -> String? {
  guard let text = cursor.text() else { return nil }
  let isName = text.utf8.allSatisfy { byte in
    let isLetter = (0x61...0x7A).contains(byte | 0x20)
    return isLetter || (0x30...0x39).contains(byte) || [0x2D, 0x2E, 0x5F].contains(byte)
  }
  guard isName, (1...32).contains(text.utf8.count), text.utf8.first != 0x2D else {
    cursor.error(
      .invalidName, "\"\(text)\" cannot be the name of a group", expected: ["1 to 32 of a-z A-Z 0-9 - . _"])
    return nil
  }
  return text
}

/// `ADDRESS:PORT`; an empty text means off, as no text does.
private func readListen(_ cursor: Cursor) -> String? {
  guard let text = cursor.text(), !text.isEmpty else { return nil }
  let expected = ["ADDRESS:PORT", "[ADDRESS]:PORT", "\"\" (off)"]
  guard let colon = text.lastIndex(of: ":"), let port = decimalPort(text[text.index(after: colon)...]) else {
    cursor.error(.invalidAddress, "listen \"\(text)\" has no port", expected: expected)
    return nil
  }
  var host = text[..<colon]
  let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
  if isBracketed { host = host.dropFirst().dropLast() }
  guard let address = IPAddress(String(host)), (address.family == .v6) == isBracketed else {
    let isBareV6 = IPAddress(String(host))?.family == .v6 && !isBracketed
    cursor.error(
      .invalidAddress, "listen \"\(text)\" is not an address and a port", expected: expected,
      suggestion: isBareV6 ? "[\(host)]:\(port)" : host == "localhost" ? "127.0.0.1:\(port)" : nil)
    return nil
  }
  if !isLoopback(address) {
    cursor.warning(
      .listenNotLoopback, "listen \(text): whoever reaches this address reads metrics and status")
  }
  return text
}

private func isLoopback(_ address: IPAddress) -> Bool {
  address.family == .v4 ? address.bits >> 24 == 127 : address.bits == 1
}

/// A port as people write it: 1 to 65535, no leading zeros.
func decimalPort(_ text: some StringProtocol) -> UInt16? {
  guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), text.first != "0" else {
    return nil
  }
  return UInt16(text)
}
