// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// JSON as the control socket speaks it: snake_case keys, sorted.
public enum ControlJSON {
  public static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .custom { path in WireKey(path[path.count - 1]) }
    encoder.outputFormatting =
      pretty
      ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(value))
  }

  public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(bytes))
  }
}

/// A key as it is written: `slotsMoved` as `slots_moved`. `endColumn` stays: `config check -o json` has it too.
private struct WireKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(_ key: any CodingKey) {
    intValue = key.intValue
    guard key.stringValue != "endColumn" else {
      stringValue = key.stringValue
      return
    }
    stringValue = key.stringValue.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
  }

  init?(stringValue: String) { nil }
  init?(intValue: Int) { nil }
}
