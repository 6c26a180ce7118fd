// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlAPI

/// What is read from JSON, against what Foundation's decoder reads.
@Suite struct WireDecoderTests {
  private struct Inner: Codable, Hashable {
    var lastNewS: Double?
    var endColumn: Int
    var names: [String]
    var `protocol`: String?
  }

  private enum Word: String, Codable { case one, two }

  private struct Outer: Codable, Hashable {
    var zeroth: UInt64
    var slotsMoved: Int
    var ok: Bool
    var small: UInt16
    var ratio: Double
    var single: Float
    var word: Word?
    var inner: Inner?
    var rows: [Inner]
    var numbers: [Double?]
    var flags: [Bool]
    var counts: [Int]
  }

  private static let keys = [
    "last_new_s": "lastNewS", "slots_moved": "slotsMoved", "end_column": "?", "lastNewS": "?",
    "slotsMoved": "?",
  ]

  private func foundation<Value: Decodable>(_ type: Value.Type, _ text: [UInt8]) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .custom { path in
      let key = path[path.count - 1]
      return Key(stringValue: Self.keys[key.stringValue] ?? key.stringValue, intValue: key.intValue)
    }
    return try decoder.decode(type, from: Data(text))
  }

  private struct Key: CodingKey {
    let stringValue: String
    let intValue: Int?
    init(stringValue: String, intValue: Int?) { (self.stringValue, self.intValue) = (stringValue, intValue) }
    init?(stringValue: String) { self.init(stringValue: stringValue, intValue: nil) }
    init?(intValue: Int) { self.init(stringValue: "\(intValue)", intValue: intValue) }
  }

  /// The kind of an error, and the field that it is about.
  private func describe(_ error: any Error) -> String {
    func key(_ context: DecodingError.Context) -> String {
      context.codingPath.last.flatMap { $0.intValue == nil ? $0.stringValue : nil } ?? ""
    }
    return switch error as? DecodingError {
    case .dataCorrupted: "corrupted"
    case .keyNotFound(let key, _): "\(key.stringValue) is missing"
    case .typeMismatch(let type, let context): "\(key(context)) is no \(type)"
    case .valueNotFound(let type, let context): "\(key(context)) has no \(type)"
    default: "\(error)"
    }
  }

  private func agree<Value: Decodable & Equatable>(
    _ type: Value.Type, _ text: [UInt8], _ location: SourceLocation = #_sourceLocation
  ) -> Bool {
    let comment = Comment(rawValue: String(decoding: text, as: UTF8.self))
    let wanted = Result { try foundation(type, text) }
    switch (Result { try ControlJSON.decode(type, from: text) }, wanted) {
    case (.success(let found), .success(let wanted)):
      #expect(found == wanted, comment, sourceLocation: location)
      return true
    case (.failure(let found), .failure):
      // Of several faults each decoder may meet another one first.
      #expect(found is DecodingError, comment, sourceLocation: location)
      return false
    case (.failure, .success) where isTakenByFoundationOnly(text):
      return false
    case (let found, let wanted):
      Issue.record("\(comment): \(found), Foundation: \(wanted)", sourceLocation: location)
      return false
    }
  }

  /// Whether a text has something that Foundation takes and that ``ControlJSON`` refuses: a comma before the end of a list
  /// or object, octets that are not UTF-8 where nobody reads them, a fraction of an integer beyond 2^53.
  private func isTakenByFoundationOnly(_ octets: [UInt8]) -> Bool {
    guard let text = String(validating: octets, as: UTF8.self) else { return true }
    return text.contains(/,\s*[\]}]|[0-9]{16}[0-9]*[.eE]|[0-9]{15}[0-9.]*[eE]/)
  }

  private func random(_ random: inout some RandomNumberGenerator) -> Outer {
    func text(_ random: inout some RandomNumberGenerator) -> String {
      let bounds: [UInt32] = [0x7f, 0x2fff, 0x10ffff]
      let scalars = (0..<Int.random(in: 0...12, using: &random)).compactMap { _ in
        Unicode.Scalar(UInt32.random(in: 0...bounds.randomElement(using: &random)!, using: &random))
      }
      return String(String.UnicodeScalarView(scalars))
    }
    func number(_ random: inout some RandomNumberGenerator) -> Double {
      let numbers = [
        0, -0.0, 0.1, 1e300, 5e-324, -1e-7, .greatestFiniteMagnitude, 1e15, 123_456_789.125,
        Double(Int.random(in: -1000...1000, using: &random)), Double.random(in: -1...1, using: &random),
      ]
      return numbers.randomElement(using: &random)!
    }
    func inner(_ random: inout some RandomNumberGenerator) -> Inner {
      Inner(
        lastNewS: Bool.random(using: &random) ? number(&random) : nil,
        endColumn: Int.random(in: .min ... .max, using: &random),
        names: (0..<Int.random(in: 0...3, using: &random)).map { _ in text(&random) },
        protocol: Bool.random(using: &random) ? text(&random) : nil)
    }
    let count = Int.random(in: 0...3, using: &random)
    return Outer(
      zeroth: UInt64.random(in: 0 ... .max, using: &random),
      slotsMoved: Int.random(in: -9...9, using: &random), ok: Bool.random(using: &random),
      small: UInt16.random(in: 0 ... .max, using: &random), ratio: number(&random),
      single: Float.random(in: -5...5, using: &random),
      word: [nil, .one, .two].randomElement(using: &random)!,
      inner: Bool.random(using: &random) ? inner(&random) : nil,
      rows: (0..<count).map { _ in inner(&random) },
      numbers: (0..<count).map { _ in Bool.random(using: &random) ? number(&random) : nil },
      flags: (0..<count).map { _ in Bool.random(using: &random) },
      counts: (0..<count).map { _ in Int.random(in: .min ... .max, using: &random) })
  }

  @Test func `random values, compact and with white space and escapes`() throws {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      let value = self.random(&random)
      let compact = try ControlJSON.encode(value)
      #expect(try ControlJSON.decode(Outer.self, from: compact) == value)
      #expect(agree(Outer.self, compact))
      // Foundation escapes slashes.
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .custom { WireKey($0[$0.count - 1]) }
      encoder.outputFormatting = [.prettyPrinted]
      #expect(agree(Outer.self, Array(try encoder.encode(value))))
    }
  }

  @Test func `texts with random faults are read as Foundation reads them, or refused as there`() throws {
    var random = SystemRandomNumberGenerator()
    let pieces = Array("{}[]\",:\\/u09aA-+.eE tfn\n\u{1}\u{7f}é".utf8) + [0, 0xff, 0xc0, 0x80, 0xed, 0xa0]
    var accepted = 0
    for _ in 0..<2000 {
      var text = try ControlJSON.encode(self.random(&random))
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        // Not the first octet: Foundation takes a text that begins otherwise for another encoding.
        let index = Int.random(in: 1..<text.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: text.remove(at: index)
        case 1: text.insert(pieces.randomElement(using: &random)!, at: index)
        case 2: text[index] = pieces.randomElement(using: &random)!
        default: text.removeSubrange(index..<min(index + 5, text.count))
        }
        if text.count < 2 { break }
      }
      if agree(Outer.self, text) { accepted += 1 }
    }
    #expect((20..<1980).contains(accepted), "the faults are of one kind: \(accepted)")
  }

  @Test(
    arguments: [
      "", " ", "{", "[", "[1", "[1,]", "[,1]", "[1 2]", "[01]", "[1.]", "[.5]", "[+1]", "[-]", "[1e]",
      "[1e+]",
      "[-0]", "[1.0]", "[1e2]", "[1.5]", "[9223372036854775807]", "[9223372036854775808]",
      "[-9223372036854775808]",
      "[1e400]", "[true]", "[null]", "[\"1\"]", "[[1]]", "{}", "[1]x", " [ 1 , 2 ] ", "[NaN]", "[Infinity]",
      "[0x1]",
      "[1_0]", "[]]", "[tru]", "[1]\u{0}",
    ]) func `lists of integers`(text: String)
  {
    _ = agree([Int].self, Array(text.utf8))
  }

  @Test(
    arguments: [
      #"["\u0041"]"#, #"["\ud83d\ude42"]"#, #"["\ud83d"]"#, #"["\ude42"]"#, #"["\ud83dx"]"#,
      #"["\ud83d\u0041"]"#,
      #"["\u00"]"#, #"["\u00g0"]"#, #"["\x"]"#, #"["\"]"#, #"["\\"]"#, #"["\/"]"#, #"["\b\t\n\f\r\""]"#,
      "[\"a\nb\"]", "[\"\u{7f}\u{e9}\u{1f642}\"]", #"["\u0000"]"#, #"["\uD83D\uDE42"]"#, #"['a']"#, #"[a]"#,
    ]) func `lists of texts`(text: String)
  {
    _ = agree([String].self, Array(text.utf8))
  }

  @Test func `texts that are not UTF-8`() {
    for octets: [UInt8] in [
      [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xc3],
    ] {
      #expect(!agree([String].self, Array("[\"".utf8) + octets + Array("\"]".utf8)))
    }
  }

  @Test func `keys with escapes, repeated keys, and nesting`() {
    let inner =
      #"{"end_column": 1, "endColumn": 2, "names": [], "last\u005fnew_s": 0.5, "other": {"a": [1]}}"#
    #expect(agree(Inner.self, Array(inner.utf8)))
    let repeated = #"{"endColumn": 1, "names": ["a"], "endColumn": 2, "names": []}"#
    #expect(agree(Inner.self, Array(repeated.utf8)))
    for depth in [500, 520, 100_000] {
      let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
      _ = agree(Inner.self, Array(#"{"endColumn": 1, "names": [], "other": \#(nested)}"#.utf8))
    }
  }

  @Test(
    arguments: [
      #"{"names": []}"#, #"{"endColumn": "1", "names": []}"#, #"{"endColumn": null, "names": []}"#,
      #"{"endColumn": 1.5, "names": []}"#, #"{"endColumn": 1e30, "names": []}"#,
      #"{"endColumn": 1, "names": {}}"#, #"{"endColumn": 1, "names": null}"#,
      #"{"endColumn": 1, "names": [], "protocol": 1}"#, #"{"endColumn": 1, "names": [], "last_new_s": true}"#,
    ]) func `errors name the same fault and field`(text: String) throws
  {
    let octets = Array(text.utf8)
    let found = try #require(throws: DecodingError.self) { try ControlJSON.decode(Inner.self, from: octets) }
    let wanted = try #require(throws: DecodingError.self) { try foundation(Inner.self, octets) }
    #expect(describe(found) == describe(wanted))
  }
}
