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
    try JSONDecoder().decode(type, from: Data(withSwiftKeys(bytes)))
  }

  /// A text with the keys of its objects as they are called in Swift: `slots_moved` becomes `slotsMoved`.
  ///
  /// `JSONDecoder`'s own strategy does this for each key of each object, which takes a fifth of the time of reading a list
  /// of 10,000 backends.
  private static func withSwiftKeys(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var index = 0
    while index < text.count {
      let begin = index
      index += 1
      guard text[begin] == quote else {
        result.append(text[begin])
        continue
      }
      while index < text.count, text[index] != quote { index += text[index] == UInt8(ascii: "\\") ? 2 : 1 }
      index = min(index + 1, text.count)
      let string = text[begin..<index]
      let next = text[index...].first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
      if next == UInt8(ascii: ":") { append(key: string, to: &result) } else { result += string }
    }
    return result
  }

  private static let quote = UInt8(ascii: "\"")

  /// - Parameter key: with its quotes. Underscores at its ends stay.
  private static func append(key: ArraySlice<UInt8>, to result: inout [UInt8]) {
    var isAfterUnderscore = false
    for (index, octet) in zip(key.indices, key) {
      if octet == UInt8(ascii: "_"), key[index - 1] != quote, key[index + 1] != quote {
        isAfterUnderscore = true
        continue
      }
      let isLower = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(octet)
      result.append(isAfterUnderscore && isLower ? octet - 0x20 : octet)
      isAfterUnderscore = false
    }
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
