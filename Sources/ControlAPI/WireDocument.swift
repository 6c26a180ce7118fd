// SPDX-License-Identifier: Apache-2.0

/// A JSON text as the list of its values, in the order of the text. The keys of an object are values, too.
struct WireDocument {
  enum Kind: UInt8 {
    case object, list, string, number, yes, no, null
    /// A string with escapes.
    case escapedString
  }

  struct Value {
    var kind: Kind
    /// Its first octet; of a string, the one after the quote.
    var start: Int32
    /// The octet after its last one; of a string, the closing quote.
    var end: Int32 = 0
    /// The index of the value that follows it and what is in it.
    var next: Int32 = 0
  }

  let text: [UInt8]
  private(set) var values: [Value] = []
  /// The octet that is read next.
  private var position = 0

  /// As in Foundation's parser.
  private static let maximumDepth = 512

  /// - Throws: unless the text is one JSON value.
  init(_ text: [UInt8]) throws(WireSyntaxError) {
    guard text.count < Int(Int32.max), String(validating: text, as: UTF8.self) != nil else {
      throw WireSyntaxError(offset: 0)
    }
    self.text = text
    values.reserveCapacity(text.count / 8)
    try readValue(depth: 0)
    skipSpace()
    guard position == text.count else { throw unexpected }
  }

  func octets(of value: Value) -> ArraySlice<UInt8> { text[Int(value.start)..<Int(value.end)] }

  // MARK: Parsing

  private var unexpected: WireSyntaxError { WireSyntaxError(offset: position) }

  /// 0 at the end of the text: it is allowed nowhere.
  private var octet: UInt8 { position < text.count ? text[position] : 0 }

  private mutating func skipSpace() {
    while true {
      switch octet {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      default: return
      }
    }
  }

  /// Whether the next octet is this one, which is then passed.
  private mutating func pass(_ wanted: Unicode.Scalar) -> Bool {
    guard octet == UInt8(ascii: wanted) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ wanted: Unicode.Scalar) throws(WireSyntaxError) {
    guard pass(wanted) else { throw unexpected }
  }

  private mutating func readValue(depth: Int) throws(WireSyntaxError) {
    guard depth <= Self.maximumDepth else { throw unexpected }
    skipSpace()
    switch octet {
    case UInt8(ascii: "{"):
      try readItems(of: .object, until: "}") { document throws(WireSyntaxError) in
        document.skipSpace()
        try document.readString()
        document.skipSpace()
        try document.expect(":")
        try document.readValue(depth: depth + 1)
      }
    case UInt8(ascii: "["):
      try readItems(of: .list, until: "]") { document throws(WireSyntaxError) in
        try document.readValue(depth: depth + 1)
      }
    case UInt8(ascii: "\""): try readString()
    case UInt8(ascii: "t"): try readWord("true", .yes)
    case UInt8(ascii: "f"): try readWord("false", .no)
    case UInt8(ascii: "n"): try readWord("null", .null)
    default: try readNumber()
    }
  }

  private mutating func readItems(
    of kind: Kind, until end: Unicode.Scalar,
    _ item: (inout WireDocument) throws(WireSyntaxError) -> Void
  ) throws(WireSyntaxError) {
    let index = values.count
    append(kind, from: position)
    position += 1
    skipSpace()
    if !pass(end) {
      repeat {
        try item(&self)
        skipSpace()
      } while pass(",")
      try expect(end)
    }
    values[index].end = Int32(position)
    values[index].next = Int32(values.count)
  }

  private mutating func append(_ kind: Kind, from start: Int) {
    values.append(
      Value(kind: kind, start: Int32(start), end: Int32(position), next: Int32(values.count + 1)))
  }

  private mutating func readString() throws(WireSyntaxError) {
    try expect("\"")
    let start = position
    var kind = Kind.string
    while true {
      switch octet {
      case UInt8(ascii: "\""):
        append(kind, from: start)
        guard kind == .string || Self.unescaped(text[start..<position]) != nil else { throw unexpected }
        position += 1
        return
      case UInt8(ascii: "\\"):
        // The octet after the backslash may be a quote.
        kind = .escapedString
        position += 2
      case 0..<0x20: throw unexpected
      default: position += 1
      }
    }
  }

  private mutating func readWord(_ word: String, _ kind: Kind) throws(WireSyntaxError) {
    let start = position
    for wanted in word.unicodeScalars { try expect(wanted) }
    append(kind, from: start)
  }

  private mutating func readNumber() throws(WireSyntaxError) {
    let start = position
    _ = pass("-")
    if !pass("0") { try readDigits() }
    if pass(".") { try readDigits() }
    if pass("e") || pass("E") {
      if !pass("+") { _ = pass("-") }
      try readDigits()
    }
    append(.number, from: start)
  }

  private mutating func readDigits() throws(WireSyntaxError) {
    let start = position
    while UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet { position += 1 }
    guard position > start else { throw unexpected }
  }
}

/// A text is not JSON.
struct WireSyntaxError: Error {
  /// The octet that is not as it should be.
  var offset: Int
}

extension WireDocument {
  /// The text of a string without its escapes; nil: it is not UTF-8.
  func string(_ value: Value) -> String? {
    let octets = octets(of: value)
    return value.kind == .string
      ? String(validating: octets, as: UTF8.self)
      : Self.unescaped(octets).flatMap { String(validating: $0, as: UTF8.self) }
  }

  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var (result, index) = ([UInt8](), text.startIndex)
    result.reserveCapacity(text.count)
    while index < text.endIndex {
      guard text[index] == UInt8(ascii: "\\") else {
        result.append(text[index])
        index += 1
        continue
      }
      guard index + 1 < text.endIndex else { return nil }
      index += 2
      switch text[index - 1] {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(text[index - 1])
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "n"): result.append(0x0a)
      case UInt8(ascii: "f"): result.append(0x0c)
      case UInt8(ascii: "r"): result.append(0x0d)
      case UInt8(ascii: "u"):
        guard let scalar = scalar(text, &index) else { return nil }
        result.append(contentsOf: String(scalar).utf8)
      default: return nil
      }
    }
    return result
  }

  /// The scalar of `\u0041`, or of a pair of surrogates.
  /// - Parameter index: after the `u`; moved to the octet after the escape.
  private static func scalar(_ text: ArraySlice<UInt8>, _ index: inout Int) -> Unicode.Scalar? {
    guard let first = unit(text, &index) else { return nil }
    guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) }
    guard text[index...].starts(with: "\\u".utf8) else { return nil }
    index += 2
    guard let second = unit(text, &index), UTF16.isTrailSurrogate(second) else { return nil }
    return UTF16.decode(UTF16.EncodedScalar([first, second]))
  }

  private static func unit(_ text: ArraySlice<UInt8>, _ index: inout Int) -> UInt16? {
    let digits = text[index...].prefix(4)
    index += digits.count
    guard digits.count == 4 else { return nil }
    return digits.reduce(UInt16?(0)) { unit, digit in
      guard let unit, let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
      return unit << 4 | UInt16(value)
    }
  }
}
