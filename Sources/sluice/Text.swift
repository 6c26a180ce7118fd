// SPDX-License-Identifier: Apache-2.0

/// Text that a terminal shows and does not obey: control and format characters are written as `\u{1B}`.
///
/// - Parameter keeping: control characters that stay.
func visible(_ text: String, keeping kept: Unicode.Scalar? = nil) -> String {
  // Nearly all text of a table: a list of 10,000 backends has 100,000 cells.
  if isPrintableASCII(text, and: kept) { return text }
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control where scalar != kept, .format, .lineSeparator, .paragraphSeparator:
      result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
    default: result.append(scalar)
    }
  }
  return String(result)
}

/// The columns that text takes on a terminal: two for a wide character, one for others with all their marks.
func displayWidth(_ text: String) -> Int {
  if isPrintableASCII(text) { return text.utf8.count }
  return text.reduce(0) { $0 + ($1.unicodeScalars.first.map(isWide) == true ? 2 : 1) }
}

private func isPrintableASCII(_ text: String, and other: Unicode.Scalar? = nil) -> Bool {
  text.utf8.allSatisfy { (0x20..<0x7f).contains($0) || UInt32($0) == other?.value && $0 < 0x80 }
}

private func isWide(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3,
    0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x20000...0x3fffd:
    true
  default: scalar.properties.isEmojiPresentation
  }
}

/// A share as a percentage with one decimal.
func percent(_ ratio: Double) -> String {
  let tenths = Int((ratio * 1000).rounded())
  return "\(tenths / 10).\(tenths % 10) %"
}

/// `1 runtime change`, `3 runtime changes`
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// Seconds as people say them: `5m15s`, `3h12m`.
func duration(_ seconds: Double) -> String {
  let whole = Int(max(seconds, 0))
  switch whole {
  case ..<60: return "\(whole)s"
  case ..<3600: return "\(whole / 60)m\(whole % 60)s"
  case ..<86400: return "\(whole / 3600)h\(whole / 60 % 60)m"
  default: return "\(whole / 86400)d\(whole / 3600 % 24)h"
  }
}
