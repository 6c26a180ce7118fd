// SPDX-License-Identifier: Apache-2.0

/// A JSON text whose objects keep the order of their members.
indirect enum JSONText {
  case string(String)
  case number(Int)
  case boolean(Bool)
  case array([JSONText])
  case object([(String, JSONText)])

  func rendered(indentation: Int = 0) -> String {
    let (margin, inner) = (String(repeating: " ", count: indentation), indentation + 2)
    let next = String(repeating: " ", count: inner)
    switch self {
    case .string(let text): return literal(text)
    case .number(let number): return "\(number)"
    case .boolean(let value): return "\(value)"
    case .array(let items):
      return "[\(items.map { $0.rendered(indentation: inner) }.joined(separator: ", "))]"
    case .object(let members) where members.allSatisfy({ $0.1.isSmall }) && members.count < 3:
      return "{\(members.map { "\(literal($0)): \($1.rendered())" }.joined(separator: ", "))}"
    case .object(let members):
      let lines = members.map { "\(next)\(literal($0)): \($1.rendered(indentation: inner))" }
      return "{\n\(lines.joined(separator: ",\n"))\n\(margin)}"
    }
  }

  private var isSmall: Bool {
    switch self {
    case .string(let text): text.utf8.count < 40
    case .number, .boolean: true
    case .array, .object: false
    }
  }

  private func literal(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
