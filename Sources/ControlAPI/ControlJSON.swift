// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The JSON of the control sockets: snake_case keys, sorted.
public enum ControlJSON {
  public static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
    guard pretty else { return try WireEncoder().encode(value) }
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .custom { path in WireKey(path[path.count - 1]) }
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
    return Array(try encoder.encode(value))
  }

  public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    try WireDecoder.decode(type, from: bytes)
  }
}

/// A key as it is written: `slotsMoved` as `slots_moved`. `endColumn` stays: `config check -o json` has it too.
struct WireKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(_ key: any CodingKey) {
    intValue = key.intValue
    stringValue = Self.text(of: key.stringValue)
  }

  /// - Parameter name: in Swift.
  static func text(of name: String) -> String {
    guard name != "endColumn" else { return name }
    return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
  }

  init?(stringValue: String) { nil }
  init?(intValue: Int) { nil }
}
