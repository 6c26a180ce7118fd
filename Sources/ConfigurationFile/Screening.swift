// SPDX-License-Identifier: Apache-2.0

/// Scalars that stand for something else between screening and the tree. Screening refuses them in a file.
enum StandIn {
  /// For `*`, so that the YAML parser leaves aliases alone: expanding them is ours, with a cap.
  static let alias: Unicode.Scalar = "\u{E000}"
  /// For a scalar that was refused.
  static let refused: Unicode.Scalar = "\u{FFFD}"
  /// For all scalars of a key that occurs again, one per key.
  static let keys = (0xE001...0xE010).compactMap(Unicode.Scalar.init)
}

/// Whether a scalar has no business in a configuration: control characters, line breaks that only YAML knows,
/// characters that change the direction of text on the screen, private ones, and the mark of damaged text.
func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x09: false
  case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069, 0x200E, 0x200F, 0xE000...0xF8FF, 0xFEFF,
    0xFFFD...0xFFFF:
    true
  default: scalar.value > 0xFFFF && scalar.properties.generalCategory == .privateUse
  }
}

/// Reports forbidden scalars and puts ``StandIn/refused`` in their place, so that the rest can still be read.
///
/// - Returns: the text for the YAML parser, aliases hidden, and whether nothing was refused.
func screen(_ text: SourceText, file: Int, findings: Findings) -> (text: SourceText, isClean: Bool) {
  var screened = text
  var isClean = true
  for (index, line) in text.lines.enumerated() {
    for (offset, scalar) in line.enumerated() {
      let columns = (offset + 1)..<(offset + 2)
      if scalar == "*" {
        screened.replace(line: index + 1, columns: columns, with: StandIn.alias)
      } else if isForbidden(scalar) {
        isClean = false
        screened.replace(line: index + 1, columns: columns, with: StandIn.refused)
        findings.report(
          .error, .controlCharacter, at: text.place(file: file, line: index + 1, column: offset + 1),
          "character U+\(hexadecimal(scalar)) is not allowed")
      }
    }
  }
  return (screened, isClean)
}

private func hexadecimal(_ scalar: Unicode.Scalar) -> String {
  let digits = String(scalar.value, radix: 16, uppercase: true)
  return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
