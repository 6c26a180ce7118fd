// SPDX-License-Identifier: Apache-2.0

/// Reads values from the JSON of the control sockets: the keys of objects are in snake_case.
///
/// Foundation's `JSONDecoder` reads the same text and takes several times as long: a list of 10,000 backends has 200,000
/// keys.
final class WireDecoder {
  fileprivate let document: WireDocument
  /// Keys as they are written, by their names in Swift.
  private var keys: [String: [UInt8]] = [:]

  private init(_ text: [UInt8]) throws {
    do {
      document = try WireDocument(text)
    } catch {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "no JSON: octet \(error.offset)"))
    }
  }

  static func decode<Value: Decodable>(_ type: Value.Type, from text: [UInt8]) throws -> Value {
    try WireDecoder(text).read(type, at: 0, nil)
  }

  /// The index of a field's value; nil: the object has no such field. Of equal keys the first counts.
  fileprivate func find(_ name: String, in object: Int) -> Int? {
    let key = key(name)
    let end = Int(document.values[object].next)
    var index = object + 1
    while index < end {
      let value = document.values[index]
      if value.kind == .string {
        if Int(value.end - value.start) == key.count, document.octets(of: value).elementsEqual(key) {
          return index + 1
        }
      } else if document.string(value).map({ $0.utf8.elementsEqual(key) }) ?? false {
        return index + 1
      }
      index = Int(document.values[index + 1].next)
    }
    return nil
  }

  private func key(_ name: String) -> [UInt8] {
    if let key = keys[name] { return key }
    let key = [UInt8](WireKey.text(of: name).utf8)
    keys[name] = key
    return key
  }

  // MARK: Values

  /// - Parameter key: the field whose value it is, for errors.
  fileprivate func read<Value: Decodable>(
    _ type: Value.Type, at index: Int, _ key: (any CodingKey)?
  ) throws -> Value {
    // What these types would do themselves is to ask a container for the same again.
    switch type {
    case is String.Type: return try text(at: index, key) as! Value
    case is Bool.Type: return try flag(at: index, key) as! Value
    case is Double.Type: return try number(at: index, key) as! Value
    case is Float.Type: return Float(try number(at: index, key)) as! Value
    case let type as any FixedWidthInteger.Type: return try integer(type, at: index, key) as! Value
    default: return try Value(from: ValueDecoder(wire: self, index: index, key: key))
    }
  }

  fileprivate func isNull(at index: Int) -> Bool { document.values[index].kind == .null }

  fileprivate func text(at index: Int, _ key: (any CodingKey)?) throws -> String {
    let value = document.values[index]
    guard value.kind == .string || value.kind == .escapedString else {
      throw mismatch(String.self, at: index, key)
    }
    guard let text = document.string(value) else { throw corrupted("no text", key) }
    return text
  }

  fileprivate func flag(at index: Int, _ key: (any CodingKey)?) throws -> Bool {
    switch document.values[index].kind {
    case .yes: return true
    case .no: return false
    default: throw mismatch(Bool.self, at: index, key)
    }
  }

  fileprivate func number(at index: Int, _ key: (any CodingKey)?) throws -> Double {
    let value = document.values[index]
    guard value.kind == .number else { throw mismatch(Double.self, at: index, key) }
    let text = String(decoding: document.octets(of: value), as: UTF8.self)
    guard let number = Double(text), number.isFinite else { throw corrupted("the number \(text)", key) }
    return number
  }

  fileprivate func integer<Number: FixedWidthInteger>(
    _ type: Number.Type, at index: Int, _ key: (any CodingKey)?
  ) throws -> Number {
    let value = document.values[index]
    guard value.kind == .number else { throw mismatch(type, at: index, key) }
    let text = String(decoding: document.octets(of: value), as: UTF8.self)
    // Also where it is written as 1.0 or 1e3, as long as every integer of that size has a Double of its own.
    let exact = { Double(text).flatMap { abs($0) < 0x1p53 ? Number(exactly: $0) : nil } }
    guard let number = Number(text) ?? exact() else { throw corrupted("the number \(text)", key) }
    return number
  }

  // MARK: Errors

  /// An error's path is its last key alone.
  fileprivate func context(_ description: String, _ key: (any CodingKey)?) -> DecodingError.Context {
    DecodingError.Context(codingPath: key.map { [$0] } ?? [], debugDescription: description)
  }

  private func corrupted(_ what: String, _ key: (any CodingKey)?) -> DecodingError {
    .dataCorrupted(context(what, key))
  }

  fileprivate func mismatch(_ type: any Any.Type, at index: Int, _ key: (any CodingKey)?) -> DecodingError {
    let context = context("found \(document.values[index].kind)", key)
    return isNull(at: index) ? .valueNotFound(type, context) : .typeMismatch(type, context)
  }
}

private struct ValueDecoder: Decoder {
  let wire: WireDecoder
  let index: Int
  let key: (any CodingKey)?
  var codingPath: [any CodingKey] { key.map { [$0] } ?? [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard wire.document.values[index].kind == .object else {
      throw wire.mismatch([String: Any].self, at: index, key)
    }
    return KeyedDecodingContainer(WireFields<Key>(wire: wire, object: index))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard wire.document.values[index].kind == .list else {
      throw wire.mismatch([Any].self, at: index, key)
    }
    return WireItems(wire: wire, next: index + 1, end: Int(wire.document.values[index].next))
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }
}

extension ValueDecoder: SingleValueDecodingContainer {
  func decodeNil() -> Bool { wire.isNull(at: index) }
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try wire.read(type, at: index, key) }
}

private struct WireFields<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let wire: WireDecoder
  let object: Int
  var codingPath: [any CodingKey] { [] }
  var allKeys: [Key] { unsupported() }

  func contains(_ key: Key) -> Bool { wire.find(key.stringValue, in: object) != nil }

  private func value(_ key: Key) throws -> Int {
    guard let value = wire.find(key.stringValue, in: object) else {
      throw DecodingError.keyNotFound(key, wire.context("no such field", nil))
    }
    return value
  }

  /// nil: there is no such field, or it is null.
  private func present(_ key: Key) -> Int? {
    wire.find(key.stringValue, in: object).flatMap { wire.isNull(at: $0) ? nil : $0 }
  }

  func decodeNil(forKey key: Key) throws -> Bool { wire.isNull(at: try value(key)) }

  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    try wire.read(type, at: value(key), key)
  }
  func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
    try present(key).map { try wire.read(type, at: $0, key) }
  }

  // The same without a look at the type.
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try wire.text(at: value(key), key) }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try wire.flag(at: value(key), key) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try wire.number(at: value(key), key) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
    try wire.integer(type, at: value(key), key)
  }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 {
    try wire.integer(type, at: value(key), key)
  }
  func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
    try present(key).map { try wire.text(at: $0, key) }
  }
  func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
    try present(key).map { try wire.number(at: $0, key) }
  }
  func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
    try present(key).map { try wire.integer(type, at: $0, key) }
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedDecodingContainer<Nested> { unsupported() }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer { unsupported() }
  func superDecoder() -> any Decoder { unsupported() }
  func superDecoder(forKey key: Key) -> any Decoder { unsupported() }
}

private struct WireItems: UnkeyedDecodingContainer {
  let wire: WireDecoder
  /// The index of the next item.
  private(set) var next: Int
  let end: Int
  private(set) var currentIndex = 0
  var codingPath: [any CodingKey] { [] }
  var count: Int? { nil }
  var isAtEnd: Bool { next >= end }

  init(wire: WireDecoder, next: Int, end: Int) {
    self.wire = wire
    self.next = next
    self.end = end
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, wire.isNull(at: next) else { return false }
    advance()
    return true
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    guard !isAtEnd else { throw DecodingError.valueNotFound(type, wire.context("the list ends", nil)) }
    defer { advance() }
    return try wire.read(type, at: next, nil)
  }

  private mutating func advance() {
    next = Int(wire.document.values[next].next)
    currentIndex += 1
  }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) -> KeyedDecodingContainer<Nested> { unsupported() }
  mutating func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer { unsupported() }
  mutating func superDecoder() -> any Decoder { unsupported() }
}

/// The types of this module read their fields and items by value.
private func unsupported() -> Never {
  preconditionFailure("no type of the control API decodes nested containers by hand")
}
