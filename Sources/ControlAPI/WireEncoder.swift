// SPDX-License-Identifier: Apache-2.0

/// Writes values as JSON text: keys in snake_case and sorted, no white space, no escaped slashes.
///
/// Foundation's `JSONEncoder` writes the same text and takes several times as long: a list of 10,000 backends has
/// 200,000 keys.
final class WireEncoder {
  private(set) var text: [UInt8] = []
  private var keys: [Key] = []
  /// Indices of ``keys``, by the names in Swift.
  private var indices: [String: Int] = [:]
  /// The fields of the objects that are being written, those of the innermost last.
  fileprivate var fields: [Field] = []

  private struct Key {
    /// With quotes and colon.
    var text: [UInt8]
    /// The first eight octets, so that most comparisons need no more.
    var prefix: UInt64

    init(_ name: String) {
      let text = [UInt8](#""\#(WireKey.text(of: name))":"#.utf8)
      self.text = text
      prefix = (0..<8).reduce(0) { $0 << 8 | UInt64($1 < text.count ? text[$1] : 0) }
    }

    func precedes(_ other: Key) -> Bool {
      prefix == other.prefix ? text.lexicographicallyPrecedes(other.text) : prefix < other.prefix
    }
  }

  fileprivate struct Field {
    /// The index of its key.
    var key: Int
    var value: Range<Int>
  }

  func encode(_ value: some Encodable) throws -> [UInt8] {
    try write(value)
    return text
  }

  /// The index of a key.
  fileprivate func key(_ name: String) -> Int {
    if let key = indices[name] { return key }
    keys.append(Key(name))
    indices[name] = keys.count - 1
    return keys.count - 1
  }

  fileprivate func write(key: Int) { text.append(contentsOf: keys[key].text) }

  fileprivate func isSorted(_ key: Int, after before: Int) -> Bool { keys[before].precedes(keys[key]) }

  fileprivate func write(_ value: some Encodable) throws {
    switch value {
    case let text as String: write(text)
    case let number as Int: write(literal: "\(number)")
    case let number as UInt64: write(literal: "\(number)")
    case let number as Double: try write(number)
    case let flag as Bool: write(literal: flag ? "true" : "false")
    default:
      let encoder = ValueEncoder(self)
      try value.encode(to: encoder)
      encoder.finish()
    }
  }

  fileprivate func write(literal: String) { text.append(contentsOf: literal.utf8) }

  fileprivate func write(_ octet: UInt8) { text.append(octet) }

  fileprivate func write(_ number: Double) throws {
    guard number.isFinite else {
      throw EncodingError.invalidValue(
        number, .init(codingPath: [], debugDescription: "JSON has no number \(number)"))
    }
    let literal = number.description
    write(literal: literal.hasSuffix(".0") ? String(literal.dropLast(2)) : literal)
  }

  fileprivate func write(_ string: String) {
    text.append(UInt8(ascii: "\""))
    defer { text.append(UInt8(ascii: "\"")) }
    // Nearly all texts.
    if string.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      text.append(contentsOf: string.utf8)
      return
    }
    for octet in string.utf8 {
      switch octet {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), octet]
      case 0x08: write(literal: "\\b")
      case 0x09: write(literal: "\\t")
      case 0x0a: write(literal: "\\n")
      case 0x0c: write(literal: "\\f")
      case 0x0d: write(literal: "\\r")
      case 0..<0x20:
        let digits = String(octet, radix: 16)
        write(literal: "\\u00" + (digits.count < 2 ? "0" : "") + digits)
      default: text.append(octet)
      }
    }
  }

  /// Ends an object.
  /// - Parameters:
  ///   - first: the index of its first field.
  ///   - start: where its text begins.
  fileprivate func close(fieldsFrom first: Int, start: Int, areSorted: Bool) {
    if !areSorted { sort(fields[first...], from: start) }
    fields.removeLast(fields.count - first)
    text.append(UInt8(ascii: "}"))
  }

  /// Puts the fields of an object, which were written from `start` on, in the order of their keys.
  private func sort(_ fields: ArraySlice<Field>, from start: Int) {
    var sorted: [UInt8] = []
    sorted.reserveCapacity(text.count - start)
    for field in fields.sorted(by: { keys[$0.key].precedes(keys[$1.key]) }) {
      sorted.append(sorted.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
      sorted += keys[field.key].text
      sorted += text[field.value]
    }
    // In place: no slice of the text may live, or all of it would be copied for each object.
    text.removeLast(text.count - start)
    text += sorted
  }
}

/// Encodes one value. What it turns out to be, an object, a list or a single value, ends with ``finish()``.
private final class ValueEncoder: Encoder {
  private enum Kind { case single, object, list }

  let wire: WireEncoder
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]
  private let start: Int
  private var kind = Kind.single
  /// Of an object, the index of its first field.
  private let firstField: Int
  private var lastKey: Int?
  private var isSorted = true
  fileprivate var count = 0

  init(_ wire: WireEncoder) {
    self.wire = wire
    start = wire.text.count
    firstField = wire.fields.count
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if kind == .single { wire.write(UInt8(ascii: "{")) }
    kind = .object
    return KeyedEncodingContainer(WireObject<Key>(encoder: self))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    kind = .list
    wire.write(UInt8(ascii: "["))
    return WireList(encoder: self)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { WireValue(encoder: self) }

  func write(field name: String, _ value: () throws -> Void) rethrows {
    let key = wire.key(name)
    if let lastKey {
      wire.write(UInt8(ascii: ","))
      isSorted = isSorted && wire.isSorted(key, after: lastKey)
    }
    lastKey = key
    wire.write(key: key)
    let begin = wire.text.count
    try value()
    wire.fields.append(WireEncoder.Field(key: key, value: begin..<wire.text.count))
  }

  func write(item: () throws -> Void) rethrows {
    if count > 0 { wire.write(UInt8(ascii: ",")) }
    count += 1
    try item()
  }

  func finish() {
    switch kind {
    case .single: break
    case .object: wire.close(fieldsFrom: firstField, start: start, areSorted: isSorted)
    case .list: wire.write(UInt8(ascii: "]"))
    }
  }
}

private struct WireObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let encoder: ValueEncoder
  var codingPath: [any CodingKey] { [] }

  mutating func encodeNil(forKey key: Key) {
    encoder.write(field: key.stringValue) { encoder.wire.write(literal: "null") }
  }

  mutating func encode(_ value: some Encodable, forKey key: Key) throws {
    try encoder.write(field: key.stringValue) { try encoder.wire.write(value) }
  }

  // The same without a look at the value's type.
  mutating func encode(_ value: String, forKey key: Key) {
    encoder.write(field: key.stringValue) { encoder.wire.write(value) }
  }
  mutating func encode(_ value: Int, forKey key: Key) {
    encoder.write(field: key.stringValue) { encoder.wire.write(literal: value.description) }
  }
  mutating func encode(_ value: UInt64, forKey key: Key) {
    encoder.write(field: key.stringValue) { encoder.wire.write(literal: value.description) }
  }
  mutating func encode(_ value: Bool, forKey key: Key) {
    encoder.write(field: key.stringValue) { encoder.wire.write(literal: value ? "true" : "false") }
  }
  mutating func encode(_ value: Double, forKey key: Key) throws {
    try encoder.write(field: key.stringValue) { try encoder.wire.write(value) }
  }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> { unsupported() }
  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { unsupported() }
  mutating func superEncoder() -> any Encoder { unsupported() }
  mutating func superEncoder(forKey key: Key) -> any Encoder { unsupported() }
}

private struct WireList: UnkeyedEncodingContainer {
  let encoder: ValueEncoder
  var codingPath: [any CodingKey] { [] }
  var count: Int { encoder.count }

  mutating func encodeNil() { encoder.write { encoder.wire.write(literal: "null") } }
  mutating func encode(_ value: some Encodable) throws {
    try encoder.write { try encoder.wire.write(value) }
  }
  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) -> KeyedEncodingContainer<Nested> { unsupported() }
  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { unsupported() }
  mutating func superEncoder() -> any Encoder { unsupported() }
}

private struct WireValue: SingleValueEncodingContainer {
  let encoder: ValueEncoder
  var codingPath: [any CodingKey] { [] }

  mutating func encodeNil() { encoder.wire.write(literal: "null") }
  mutating func encode(_ value: some Encodable) throws { try write(value) }

  /// Numbers of other types encode themselves as single values: that has to end.
  private func write(_ value: some Encodable) throws {
    switch value {
    case let number as any BinaryInteger: encoder.wire.write(literal: "\(number)")
    case let number as Float: try encoder.wire.write(Double("\(number)") ?? Double(number))
    default: try encoder.wire.write(value)
    }
  }
}

/// The types of this module write their fields and items by value.
private func unsupported() -> Never {
  preconditionFailure("no type of the control API encodes nested containers by hand")
}
