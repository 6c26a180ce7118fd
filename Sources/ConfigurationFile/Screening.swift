// SPDX-License-Identifier: Apache-2.0

/// What the parser reads in place of a scalar that screening refused.
let refusedScalar: Unicode.Scalar = "\u{FFFD}"

/// Whether a configuration may not hold a scalar: control characters, line breaks that only YAML knows, characters that
/// change the direction of text on the screen, private ones, and the mark of damaged text.
func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x09: false
  case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069, 0x200E, 0x200F, 0xE000...0xF8FF, 0xFEFF,
    0xFFFD...0xFFFF:
    true
  default: scalar.value > 0xFFFF && scalar.properties.generalCategory == .privateUse
  }
}

/// Reports forbidden scalars and replaces each by ``refusedScalar``, so that the rest can still be read.
///
/// - Returns: the text for the YAML parser, and whether nothing was refused.
func screen(_ text: SourceText, file: Int, findings: Findings) -> (octets: [UInt8], isClean: Bool) {
  let isSuspect = text.octets.contains { octet in
    octet < 0x20 && octet != 0x0A && octet != 0x0D && octet != 0x09 || octet >= 0x7F
  }
  guard isSuspect else { return (text.octets, true) }
  var screened: [UInt8] = []
  screened.reserveCapacity(text.octets.count)
  var isClean = true
  var (line, column) = (1, 1)
  var previous: Unicode.Scalar?
  for scalar in String(decoding: text.octets, as: UTF8.self).unicodeScalars {
    if scalar == "\n" || scalar == "\r" {
      if scalar == "\r" || previous != "\r" { line += 1 }
      column = 1
      screened.append(UInt8(ascii: scalar))
    } else {
      let isRefused = isForbidden(scalar)
      if isRefused {
        isClean = false
        findings.report(
          .error, .controlCharacter, at: SourceLocation(file: file, line: line, column: column),
          "character U+\(hexadecimal(scalar)) is not allowed")
      }
      screened += String(isRefused ? refusedScalar : scalar).utf8
      column += 1
    }
    previous = scalar
  }
  return (screened, isClean)
}

private func hexadecimal(_ scalar: Unicode.Scalar) -> String {
  let digits = String(scalar.value, radix: 16, uppercase: true)
  return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
