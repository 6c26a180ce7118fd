// SPDX-License-Identifier: Apache-2.0

/// Writes values as JSON text: keys in snake_case and sorted, no white space, no escaped slashes.
///
/// Foundation's `JSONEncoder` writes the same text and takes several times as long: a list of 10,000 backends has
/// 200,000 keys.
final class WireEncoder {
  private(set) var text: [UInt8] = []
  /// Keys as they are written, with quotes and colon, by their names in Swift.
  private var keys: [String: [UInt8]] = [:]

  func encode(_ value: some Encodable) throws -> [UInt8] {
    try write(value)
    return text
  }

  fileprivate func key(_ name: String) -> [UInt8] {
    if let key = keys[name] { return key }
    let key = [UInt8](#""\#(WireKey.text(of: name))":"#.utf8)
    keys[name] = key
    return key
  }

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
    text.append(UInt8(ascii: "\""))
  }

  /// Puts the fields of an object, which were written from `start` on, in the order of their keys.
  fileprivate func sort(_ fields: [ValueEncoder.Field], from start: Int) {
    var sorted: [UInt8] = []
    sorted.reserveCapacity(text.count - start + fields.count)
    for field in fields.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      sorted.append(sorted.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
      sorted += field.key
      sorted += text[field.value]
    }
    if fields.isEmpty { sorted.append(UInt8(ascii: "{")) }
    sorted.append(UInt8(ascii: "}"))
    // In place: no slice of the text may live, or all of it would be copied for each object.
    text.removeLast(text.count - start)
    text += sorted
  }
}

/// Encodes one value. What it turns out to be, an object, a list or a single value, ends with ``finish()``.
private final class ValueEncoder: Encoder {
  struct Field {
    var key: [UInt8]
    var value: Range<Int>
  }

  private enum Kind { case single, object, list }

  let wire: WireEncoder
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]
  private let start: Int
  private var kind = Kind.single
  private var fields: [Field] = []
  fileprivate var count = 0

  init(_ wire: WireEncoder) {
    self.wire = wire
    start = wire.text.count
  }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
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
    let begin = wire.text.count
    try value()
    fields.append(Field(key: wire.key(name), value: begin..<wire.text.count))
  }

  func write(item: () throws -> Void) rethrows {
    if count > 0 { wire.write(UInt8(ascii: ",")) }
    count += 1
    try item()
  }

  func finish() {
    switch kind {
    case .single: break
    case .object: wire.sort(fields, from: start)
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
