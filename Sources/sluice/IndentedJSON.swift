// SPDX-License-Identifier: Apache-2.0

/// JSON with line breaks and indentation; every key, number and string stays as it was written.
func indentedJSON(_ octets: [UInt8]) -> String {
  var result: [UInt8] = []
  var depth = 0
  var isInString = false
  var isEscaped = false
  var previous: UInt8 = 0
  func breakLine() { result += [0x0a] + [UInt8](repeating: 0x20, count: 2 * max(depth, 0)) }
  for octet in octets {
    if isInString {
      result.append(octet)
      isInString = isEscaped || octet != UInt8(ascii: "\"")
      isEscaped = !isEscaped && octet == UInt8(ascii: "\\")
      previous = octet
      continue
    }
    let opened = previous == UInt8(ascii: "{") || previous == UInt8(ascii: "[")
    switch octet {
    case 0x20, 0x09, 0x0a, 0x0d: continue
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      depth -= 1
      if !opened { breakLine() }
      result.append(octet)
    default:
      if opened { breakLine() }
      result.append(octet)
      switch octet {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: ","): breakLine()
      case UInt8(ascii: ":"): result.append(0x20)
      default: break
      }
    }
    previous = octet
  }
  return String(decoding: result, as: UTF8.self)
}
