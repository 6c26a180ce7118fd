// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import ControlAPI

/// The text of the control API against that of Foundation's encoder.
@Suite struct WireEncoderTests {
  private struct Inner: Codable, Hashable {
    var lastNewS: Double?
    var endColumn: Int
    var names: [String]
    var `protocol` = "tcp"
  }

  private struct Outer: Codable, Hashable {
    var zeroth = UInt64.max
    var slotsMoved: Int
    var ok: Bool
    var small: UInt16 = 7
    var inner: Inner?
    var rows: [Inner] = []
    var numbers: [Double?] = []
  }

  private func foundation(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .custom { WireKey($0[$0.count - 1]) }
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private func wire(_ value: some Encodable) throws -> String {
    String(decoding: try ControlJSON.encode(value), as: UTF8.self)
  }

  @Test func `every kind of value`() throws {
    let text = "q\"b\\s/n\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}\u{2028}\u{1f642}\u{e9}"
    for number in [0, 1, -1, 0.1, 1.5, 1e15, 1e16, 1e-7, -0.0, 123456789.125] {
      let inner = Inner(lastNewS: number, endColumn: 3, names: [text, ""])
      let outer = Outer(
        slotsMoved: -5, ok: true, inner: inner, rows: [inner, Inner(endColumn: 1, names: [])],
        numbers: [nil, number])
      #expect(try wire(outer) == foundation(outer))
      #expect(try ControlJSON.decode(Outer.self, from: ControlJSON.encode(outer)) == outer)
    }
    #expect(try wire(Outer(slotsMoved: 1, ok: false)) == foundation(Outer(slotsMoved: 1, ok: false)))
    #expect(try wire([Inner]()) == "[]")
    #expect(try wire(["a"]) == #"["a"]"#)
    #expect(throws: EncodingError.self) { try wire(Inner(lastNewS: .infinity, endColumn: 1, names: [])) }
  }

  @Test func `only keys are renamed, and a text that is cut off is refused`() throws {
    let value = Outer(
      slotsMoved: 1, ok: true,
      inner: Inner(lastNewS: 2, endColumn: 1, names: ["slots_moved", #"{"slots_moved": 1}"#, #"\"#, "_"]))
    let text = try ControlJSON.encode(value)
    #expect(try ControlJSON.decode(Outer.self, from: text) == value)
    let spaced =
      "{\"ok\": true, \"slots_moved\" \n\t: 1, \"small\": 1, \"zeroth\": 1, \"rows\": [], \"numbers\": []}"
    #expect(try ControlJSON.decode(Outer.self, from: Array(spaced.utf8)).slotsMoved == 1)
    for count in 0..<text.count {
      #expect(throws: DecodingError.self) { try ControlJSON.decode(Outer.self, from: Array(text[..<count])) }
    }
  }

  @Test func `random texts`() throws {
    for _ in 0..<2000 {
      let scalars = (0..<8).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0...0x2fff)) }
      let text = String(String.UnicodeScalarView(scalars))
      #expect(try wire([text]) == foundation([text]))
    }
  }
}
